"""segments: how far each member can be reached, what a segment was called before, and when its size was asked for"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('segment_members') as members:
        members.add_column(sa.Column('standing', sa.SmallInteger(), nullable=False, server_default='0'))
        members.create_index('ix_segment_members_segment_id_standing', ['segment_id', 'standing', 'klaviyo_profile_id'])
    with op.batch_alter_table('segments') as segments:
        segments.add_column(sa.Column('count_asked_at', UtcDateTime(timezone=True), nullable=True))
        segments.add_column(sa.Column('former_name', sa.String(length=300), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('segments') as segments:
        segments.drop_column('former_name')
        segments.drop_column('count_asked_at')
    with op.batch_alter_table('segment_members') as members:
        members.drop_index('ix_segment_members_segment_id_standing')
        members.drop_column('standing')
