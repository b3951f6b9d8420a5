"""pushes: messages for customers' cards, where each went, and a merchant's rules and refusals"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('push_refusals',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('code', sa.String(length=40), nullable=False),
    sa.Column('field', sa.String(length=60), nullable=False),
    sa.Column('status', sa.SmallInteger(), nullable=False),
    sa.Column('message', sa.String(length=500), nullable=False),
    sa.Column('times', sa.Integer(), nullable=False),
    sa.Column('last_at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_push_refusals_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', 'code', 'field', name=op.f('pk_push_refusals'))
    )
    op.create_table('push_rules',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('quiet_from', sa.SmallInteger(), nullable=True),
    sa.Column('quiet_until', sa.SmallInteger(), nullable=True),
    sa.Column('most_per_day', sa.SmallInteger(), nullable=True),
    sa.Column('tells_klaviyo', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_push_rules_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', name=op.f('pk_push_rules'))
    )
    op.create_table('push_suppressions',
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('since', UtcDateTime(timezone=True), nullable=False),
    sa.Column('by', sa.String(length=254), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_push_suppressions_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_push_suppressions_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('customer_id', name=op.f('pk_push_suppressions'))
    )
    with op.batch_alter_table('push_suppressions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_push_suppressions_merchant_id'), ['merchant_id'], unique=False)

    op.create_table('pushes',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('source', sa.String(length=10), nullable=False),
    sa.Column('title', sa.String(length=60), nullable=True),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('url', sa.String(length=2048), nullable=True),
    sa.Column('dedupe_key', sa.String(length=64), nullable=True),
    sa.Column('digest', sa.LargeBinary(length=16), nullable=False),
    sa.Column('channels', sa.String(length=20), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=20), nullable=True),
    sa.Column('created_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('sent_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('settled_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_pushes_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_pushes_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pushes')),
    sa.UniqueConstraint('dedupe_key', 'merchant_id', name=op.f('uq_pushes_dedupe_key_merchant_id'))
    )
    with op.batch_alter_table('pushes', schema=None) as batch_op:
        batch_op.create_index('ix_pushes_customer_id_id', ['customer_id', 'id'], unique=False)
        batch_op.create_index('ix_pushes_due', ['merchant_id', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
        batch_op.create_index('ix_pushes_merchant_id_id', ['merchant_id', 'id'], unique=False)
        batch_op.create_index('ix_pushes_merchant_id_state_id', ['merchant_id', 'state', 'id'], unique=False)

    op.create_table('push_targets',
    sa.Column('push_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('wallet', sa.String(length=10), nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('card_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('message_id', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=20), nullable=True),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('notifies', sa.Boolean(), nullable=False),
    sa.Column('answer', sa.String(length=500), nullable=True),
    sa.Column('sent_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('settled_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_push_targets_card_id_cards'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_push_targets_merchant_id_merchants'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['push_id'], ['pushes.id'], name=op.f('fk_push_targets_push_id_pushes'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('push_id', 'wallet', name=op.f('pk_push_targets'))
    )
    with op.batch_alter_table('push_targets', schema=None) as batch_op:
        batch_op.create_index('ix_push_targets_card_id_wallet_settled_at', ['card_id', 'wallet', 'settled_at'], unique=False)
        batch_op.create_index('ix_push_targets_due', ['merchant_id', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))



def downgrade() -> None:
    with op.batch_alter_table('push_targets', schema=None) as batch_op:
        batch_op.drop_index('ix_push_targets_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
        batch_op.drop_index('ix_push_targets_card_id_wallet_settled_at')

    op.drop_table('push_targets')
    with op.batch_alter_table('pushes', schema=None) as batch_op:
        batch_op.drop_index('ix_pushes_merchant_id_state_id')
        batch_op.drop_index('ix_pushes_merchant_id_id')
        batch_op.drop_index('ix_pushes_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
        batch_op.drop_index('ix_pushes_customer_id_id')

    op.drop_table('pushes')
    with op.batch_alter_table('push_suppressions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_push_suppressions_merchant_id'))

    op.drop_table('push_suppressions')
    op.drop_table('push_rules')
    op.drop_table('push_refusals')
