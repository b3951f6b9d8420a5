"""segments: their import in runs, the members, who joined and left, and how many can be reached"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('segment_members',
    sa.Column('segment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('klaviyo_profile_id', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('email', sa.String(length=254), nullable=True),
    sa.Column('phone', sa.String(length=20), nullable=True),
    sa.Column('external_id', sa.String(length=200), nullable=True),
    sa.Column('joined_group_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('joined_generation', sa.Integer(), nullable=False),
    sa.Column('seen_generation', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_segment_members_customer_id_customers'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['segment_id'], ['segments.id'], name=op.f('fk_segment_members_segment_id_segments'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('segment_id', 'klaviyo_profile_id', name=op.f('pk_segment_members'))
    )
    with op.batch_alter_table('segment_members', schema=None) as batch_op:
        batch_op.create_index('ix_segment_members_customer_id_segment_id', ['customer_id', 'segment_id'], unique=False)
        batch_op.create_index('ix_segment_members_segment_id_phone', ['segment_id', 'phone'], unique=False, sqlite_where=sa.text('phone IS NOT NULL'), postgresql_where=sa.text('phone IS NOT NULL'))
        batch_op.create_index('ix_segment_members_segment_id_email', ['segment_id', 'email'], unique=False, postgresql_ops={'email': 'text_pattern_ops'})

    op.create_table('segment_reach',
    sa.Column('segment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('counted_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('members', sa.Integer(), nullable=False),
    sa.Column('matched', sa.Integer(), nullable=False),
    sa.Column('installed', sa.Integer(), nullable=False),
    sa.Column('removed', sa.Integer(), nullable=False),
    sa.Column('apple', sa.Integer(), nullable=False),
    sa.Column('google', sa.Integer(), nullable=False),
    sa.Column('notifiable', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['segment_id'], ['segments.id'], name=op.f('fk_segment_reach_segment_id_segments'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('segment_id', name=op.f('pk_segment_reach'))
    )
    op.create_table('segment_runs',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('segment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('ended_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('expected', sa.Integer(), nullable=True),
    sa.Column('careful', sa.Boolean(), nullable=False),
    sa.Column('pages', sa.Integer(), nullable=False),
    sa.Column('requests', sa.Integer(), nullable=False),
    sa.Column('members', sa.Integer(), nullable=False),
    sa.Column('joined', sa.Integer(), nullable=False),
    sa.Column('left', sa.Integer(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_segment_runs_merchant_id_merchants'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['segment_id'], ['segments.id'], name=op.f('fk_segment_runs_segment_id_segments'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_segment_runs')),
    sa.UniqueConstraint('segment_id', 'generation', name=op.f('uq_segment_runs_segment_id_generation'))
    )
    op.create_table('segment_changes',
    sa.Column('run_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('way', sa.String(length=6), nullable=False),
    sa.Column('klaviyo_profile_id', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('label', sa.String(length=254), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_segment_changes_customer_id_customers'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['run_id'], ['segment_runs.id'], name=op.f('fk_segment_changes_run_id_segment_runs'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run_id', 'way', 'klaviyo_profile_id', name=op.f('pk_segment_changes'))
    )
    with op.batch_alter_table('segment_changes', schema=None) as batch_op:
        batch_op.create_index('ix_segment_changes_customer_id', ['customer_id'], unique=False)

    op.create_table('segment_parts',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('run_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('since', UtcDateTime(timezone=True), nullable=True),
    sa.Column('until', UtcDateTime(timezone=True), nullable=True),
    sa.Column('stop_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('position', UtcDateTime(timezone=True), nullable=True),
    sa.Column('cursor', sa.Text(), nullable=True),
    sa.Column('pages', sa.Integer(), nullable=False),
    sa.Column('done', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['segment_runs.id'], name=op.f('fk_segment_parts_run_id_segment_runs'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_segment_parts'))
    )
    with op.batch_alter_table('segment_parts', schema=None) as batch_op:
        batch_op.create_index('ix_segment_parts_run_id', ['run_id'], unique=False)

    with op.batch_alter_table('segments', schema=None) as batch_op:
        batch_op.add_column(sa.Column('profile_count', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('counted_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('is_relative', sa.Boolean(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('gone_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('due_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('lease', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True))
        batch_op.add_column(sa.Column('asked_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('generation', sa.Integer(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('complete_from', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('complete_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('members', sa.Integer(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('failures', sa.Integer(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('problem', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('problem_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.create_index('ix_segments_due', ['due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    # What was selected so far is imported from now on.
    op.execute("UPDATE segments SET due_at = CURRENT_TIMESTAMP WHERE selected_at IS NOT NULL")


def downgrade() -> None:
    with op.batch_alter_table('segments', schema=None) as batch_op:
        batch_op.drop_index('ix_segments_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
        batch_op.drop_column('problem_at')
        batch_op.drop_column('problem')
        batch_op.drop_column('failures')
        batch_op.drop_column('members')
        batch_op.drop_column('complete_at')
        batch_op.drop_column('complete_from')
        batch_op.drop_column('generation')
        batch_op.drop_column('asked_at')
        batch_op.drop_column('lease')
        batch_op.drop_column('due_at')
        batch_op.drop_column('gone_at')
        batch_op.drop_column('is_relative')
        batch_op.drop_column('counted_at')
        batch_op.drop_column('profile_count')

    with op.batch_alter_table('segment_parts', schema=None) as batch_op:
        batch_op.drop_index('ix_segment_parts_run_id')

    op.drop_table('segment_parts')
    with op.batch_alter_table('segment_changes', schema=None) as batch_op:
        batch_op.drop_index('ix_segment_changes_customer_id')

    op.drop_table('segment_changes')
    op.drop_table('segment_runs')
    op.drop_table('segment_reach')
    with op.batch_alter_table('segment_members', schema=None) as batch_op:
        batch_op.drop_index('ix_segment_members_segment_id_phone', sqlite_where=sa.text('phone IS NOT NULL'), postgresql_where=sa.text('phone IS NOT NULL'))
        batch_op.drop_index('ix_segment_members_segment_id_email', postgresql_ops={'email': 'text_pattern_ops'})
        batch_op.drop_index('ix_segment_members_customer_id_segment_id')

    op.drop_table('segment_members')
