"""profiles: bulk imports, the first switch-on, the identity inbox, drift checks"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('drift_checks',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('by_hand', sa.Boolean(), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('ended_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('compared', sa.Integer(), nullable=False),
    sa.Column('in_step', sa.Integer(), nullable=False),
    sa.Column('differing', sa.Integer(), nullable=False),
    sa.Column('missing', sa.Integer(), nullable=False),
    sa.Column('problem', sa.String(length=200), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_drift_checks_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_drift_checks'))
    )
    with op.batch_alter_table('drift_checks', schema=None) as batch_op:
        batch_op.create_index('ix_drift_checks_merchant_id_started_at', ['merchant_id', 'started_at'], unique=False)

    op.create_table('profile_imports',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('klaviyo_job_id', sa.String(length=200), nullable=False),
    sa.Column('submitted_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('looks', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_profile_imports_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_profile_imports'))
    )
    with op.batch_alter_table('profile_imports', schema=None) as batch_op:
        batch_op.create_index('ix_profile_imports_merchant_id_due_at', ['merchant_id', 'due_at'], unique=False)

    op.create_table('profile_sweeps',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('klaviyo_account_id', sa.String(length=64), nullable=False),
    sa.Column('programme_version', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('slug', sa.String(length=60), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('afresh', sa.Boolean(), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('reached', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('marked_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('ended_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('found_before', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_profile_sweeps_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', name=op.f('pk_profile_sweeps'))
    )
    op.create_table('identity_cases',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('other_customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('klaviyo_profile_id', sa.String(length=64), nullable=True),
    sa.Column('profile_label', sa.String(length=254), nullable=True),
    sa.Column('found_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('decided_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('decision', sa.String(length=20), nullable=True),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_identity_cases_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_identity_cases_merchant_id_merchants'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['other_customer_id'], ['customers.id'], name=op.f('fk_identity_cases_other_customer_id_customers'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_cases'))
    )
    with op.batch_alter_table('identity_cases', schema=None) as batch_op:
        batch_op.create_index('ix_identity_cases_open', ['merchant_id', 'id'], unique=False, sqlite_where=sa.text('decided_at IS NULL'), postgresql_where=sa.text('decided_at IS NULL'))
        batch_op.create_index(batch_op.f('ix_identity_cases_other_customer_id'), ['other_customer_id'], unique=False)
        batch_op.create_index('uq_identity_cases_open', ['customer_id', 'kind'], unique=True, sqlite_where=sa.text('decided_at IS NULL'), postgresql_where=sa.text('decided_at IS NULL'))

    op.create_table('sent_values',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('sent_at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_sent_values_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_sent_values_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', 'name', name=op.f('pk_sent_values'))
    )
    with op.batch_alter_table('sent_values', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sent_values_customer_id'), ['customer_id'], unique=False)

    with op.batch_alter_table('customers', schema=None) as batch_op:
        batch_op.create_index('ix_customers_unreachable', ['merchant_id', 'id'], unique=False, sqlite_where=sa.text('email IS NULL AND phone IS NULL AND klaviyo_profile_id IS NULL'), postgresql_where=sa.text('email IS NULL AND phone IS NULL AND klaviyo_profile_id IS NULL'))

    with op.batch_alter_table('profile_syncs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('alone', sa.Boolean(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('held', sa.Boolean(), server_default='0', nullable=False))
        batch_op.create_index('ix_profile_syncs_lease', ['lease'], unique=False, sqlite_where=sa.text('lease IS NOT NULL'), postgresql_where=sa.text('lease IS NOT NULL'))
        batch_op.create_index('ix_profile_syncs_problem', ['merchant_id', 'problem_at'], unique=False, sqlite_where=sa.text('problem IS NOT NULL'), postgresql_where=sa.text('problem IS NOT NULL'))



def downgrade() -> None:
    with op.batch_alter_table('profile_syncs', schema=None) as batch_op:
        batch_op.drop_index('ix_profile_syncs_problem', sqlite_where=sa.text('problem IS NOT NULL'), postgresql_where=sa.text('problem IS NOT NULL'))
        batch_op.drop_index('ix_profile_syncs_lease', sqlite_where=sa.text('lease IS NOT NULL'), postgresql_where=sa.text('lease IS NOT NULL'))
        batch_op.drop_column('held')
        batch_op.drop_column('alone')

    with op.batch_alter_table('customers', schema=None) as batch_op:
        batch_op.drop_index('ix_customers_unreachable', sqlite_where=sa.text('email IS NULL AND phone IS NULL AND klaviyo_profile_id IS NULL'), postgresql_where=sa.text('email IS NULL AND phone IS NULL AND klaviyo_profile_id IS NULL'))

    with op.batch_alter_table('sent_values', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sent_values_customer_id'))

    op.drop_table('sent_values')
    with op.batch_alter_table('identity_cases', schema=None) as batch_op:
        batch_op.drop_index('uq_identity_cases_open', sqlite_where=sa.text('decided_at IS NULL'), postgresql_where=sa.text('decided_at IS NULL'))
        batch_op.drop_index(batch_op.f('ix_identity_cases_other_customer_id'))
        batch_op.drop_index('ix_identity_cases_open', sqlite_where=sa.text('decided_at IS NULL'), postgresql_where=sa.text('decided_at IS NULL'))

    op.drop_table('identity_cases')
    op.drop_table('profile_sweeps')
    with op.batch_alter_table('profile_imports', schema=None) as batch_op:
        batch_op.drop_index('ix_profile_imports_merchant_id_due_at')

    op.drop_table('profile_imports')
    with op.batch_alter_table('drift_checks', schema=None) as batch_op:
        batch_op.drop_index('ix_drift_checks_merchant_id_started_at')

    op.drop_table('drift_checks')
