"""refused erasures: what Klaviyo refuses to erase is not due any more, and waits for a person"""

from alembic import op
from portal.db import UtcDateTime


revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('erasures') as batch:
        batch.alter_column('due_at', existing_type=UtcDateTime(timezone=True), nullable=True)


def downgrade() -> None:
    op.execute('UPDATE erasures SET due_at = asked_at WHERE due_at IS NULL')
    with op.batch_alter_table('erasures') as batch:
        batch.alter_column('due_at', existing_type=UtcDateTime(timezone=True), nullable=False)
