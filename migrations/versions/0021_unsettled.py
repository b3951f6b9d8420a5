"""unsettled: what waits is found by its customer in an index of its own, which no statistics can confuse with the merchant's"""

from alembic import op
from sqlalchemy import text


revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

UNSETTLED, PENDING = text('settled_at IS NULL'), text("state = 'pending'")
COLUMNS = ['customer_id', 'id']


def upgrade() -> None:
    op.create_index('ix_deliveries_unsettled', 'deliveries', COLUMNS, sqlite_where=UNSETTLED, postgresql_where=UNSETTLED)
    op.drop_index('ix_deliveries_pending_customer', 'deliveries')
    # What has a lease is pending from now on; what was given up while a worker had it kept its lease.
    op.execute("UPDATE deliveries SET lease = NULL WHERE state = 'dead' AND lease IS NOT NULL")


def downgrade() -> None:
    op.create_index('ix_deliveries_pending_customer', 'deliveries', COLUMNS, sqlite_where=PENDING, postgresql_where=PENDING)
    op.drop_index('ix_deliveries_unsettled', 'deliveries')
