"""trials: test events that are read back from Klaviyo, and what merchants decided about example events"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('trials',
    sa.Column('event_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('seen_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['event_id'], ['events.id'], name=op.f('fk_trials_event_id_events'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_trials_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('event_id', name=op.f('pk_trials'))
    )
    op.create_index('ix_trials_merchant_id_event_id', 'trials', ['merchant_id', 'event_id'], unique=False)
    op.create_table('examples',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('klaviyo_account_id', sa.String(length=64), nullable=False),
    sa.Column('wanted', sa.Boolean(), nullable=False),
    sa.Column('decided_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('sent_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_examples_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', 'klaviyo_account_id', name=op.f('pk_examples'))
    )
    op.create_index(op.f('ix_examples_due_at'), 'examples', ['due_at'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_examples_due_at'), table_name='examples')
    op.drop_table('examples')
    op.drop_index('ix_trials_merchant_id_event_id', table_name='trials')
    op.drop_table('trials')
