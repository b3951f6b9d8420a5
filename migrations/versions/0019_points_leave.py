"""points leave: where a period counts, every customer is looked at once to note when their points leave it"""

from alembic import op


revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE programmes SET reviewed_to = 0 WHERE tier_basis IN ('earned_12_months', 'earned_calendar_year')")


def downgrade() -> None:
    pass
