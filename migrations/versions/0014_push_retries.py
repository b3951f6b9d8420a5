"""pushes: when a person last let one be tried again, and why a customer gets none"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('pushes') as pushes:
        pushes.add_column(sa.Column('retried_at', UtcDateTime(timezone=True), nullable=True))
    with op.batch_alter_table('push_suppressions') as suppressions:
        suppressions.add_column(sa.Column('reason', sa.String(length=200), nullable=False, server_default=''))
    # The models say no default of the database's.
    with op.batch_alter_table('push_suppressions') as suppressions:
        suppressions.alter_column('reason', server_default=None)


def downgrade() -> None:
    with op.batch_alter_table('push_suppressions') as suppressions:
        suppressions.drop_column('reason')
    with op.batch_alter_table('pushes') as pushes:
        pushes.drop_column('retried_at')
