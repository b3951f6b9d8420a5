"""erasures: whom Klaviyo has yet to be told to erase, and hashes of the events of those who were"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('erasures',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('klaviyo_account_id', sa.String(length=64), nullable=False),
    sa.Column('profile_sealed', sa.Text(), nullable=True),
    sa.Column('asked_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('problem', sa.String(length=500), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_erasures_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasures'))
    )
    op.create_index(op.f('ix_erasures_due_at'), 'erasures', ['due_at'], unique=False)
    op.create_index(op.f('ix_erasures_merchant_id'), 'erasures', ['merchant_id'], unique=False)
    op.create_table('erased_events',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('id_hash', sa.LargeBinary(length=16), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_erased_events_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', 'id_hash', name=op.f('pk_erased_events'))
    )


def downgrade() -> None:
    op.drop_table('erased_events')
    op.drop_index(op.f('ix_erasures_merchant_id'), table_name='erasures')
    op.drop_index(op.f('ix_erasures_due_at'), table_name='erasures')
    op.drop_table('erasures')
