"""refused emails: whose address Klaviyo does not take is known to it by phone number"""

from alembic import op
import sqlalchemy as sa


revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('profile_syncs') as batch:
        batch.add_column(sa.Column('email_refused', sa.Boolean(), server_default='0', nullable=False))


def downgrade() -> None:
    with op.batch_alter_table('profile_syncs') as batch:
        batch.drop_column('email_refused')
