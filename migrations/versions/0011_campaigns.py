"""campaigns: what is said to whom, the segments they are about, and who was assigned"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('campaigns',
    sa.Column('id', BIG_ID, autoincrement=False, nullable=False),
    sa.Column('merchant_id', BIG_ID, nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('tier_id', BIG_ID, nullable=True),
    sa.Column('card_status', sa.String(length=15), nullable=True),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('url', sa.String(length=2048), nullable=True),
    sa.Column('start', sa.String(length=15), nullable=False),
    sa.Column('start_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('guard_percent', sa.SmallInteger(), nullable=False),
    sa.Column('audience', sa.Integer(), nullable=True),
    sa.Column('state', sa.String(length=15), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('walked_to', BIG_ID, nullable=False),
    sa.Column('assigned', sa.Integer(), nullable=False),
    sa.Column('created_by', sa.String(length=254), nullable=False),
    sa.Column('created_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('ended_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_campaigns_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_campaigns'))
    )
    op.create_index('ix_campaigns_due', 'campaigns', ['due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_campaigns_merchant_id_id', 'campaigns', ['merchant_id', 'id'], unique=False)
    op.create_table('campaign_segments',
    sa.Column('campaign_id', BIG_ID, nullable=False),
    sa.Column('segment_id', BIG_ID, autoincrement=False, nullable=False),
    sa.Column('included', sa.Boolean(), nullable=False),
    sa.Column('name', sa.String(length=300), nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_campaign_segments_campaign_id_campaigns'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('campaign_id', 'segment_id', name=op.f('pk_campaign_segments'))
    )
    op.create_table('assignments',
    sa.Column('campaign_id', BIG_ID, nullable=False),
    sa.Column('customer_id', BIG_ID, nullable=False),
    sa.Column('assigned_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('push_id', BIG_ID, nullable=True),
    sa.Column('refused', sa.String(length=40), nullable=True),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_assignments_campaign_id_campaigns'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_assignments_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['push_id'], ['pushes.id'], name=op.f('fk_assignments_push_id_pushes'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('campaign_id', 'customer_id', name=op.f('pk_assignments'))
    )
    op.create_index('ix_assignments_customer_id', 'assignments', ['customer_id'], unique=False)
    op.create_index(op.f('ix_assignments_push_id'), 'assignments', ['push_id'], unique=False)


def downgrade() -> None:
    op.drop_table('assignments')
    op.drop_table('campaign_segments')
    op.drop_table('campaigns')
