"""campaigns: who has opened what was sent, when a person last looked, and which joiners were let pass"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('campaigns', sa.Column('looked_at', UtcDateTime(timezone=True), nullable=True))
    op.add_column('campaign_segments', sa.Column('passed', sa.Integer(), server_default='0', nullable=False))
    op.add_column('assignments', sa.Column('opened_at', UtcDateTime(timezone=True), nullable=True))
    op.add_column('assignments', sa.Column('opened_by', sa.String(length=10), nullable=True))


def downgrade() -> None:
    # No batches: they make tables anew, and dropping the old one takes with it what refers to it.
    op.drop_column('assignments', 'opened_by')
    op.drop_column('assignments', 'opened_at')
    op.drop_column('campaign_segments', 'passed')
    op.drop_column('campaigns', 'looked_at')
