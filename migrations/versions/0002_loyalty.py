"""loyalty: programmes with tiers and rewards, the ledger of points, and where each customer stands"""

import secrets

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime, new_ids


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('programmes',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('version', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('tier_basis', sa.String(length=30), nullable=False),
    sa.Column('tier_loss', sa.String(length=20), nullable=False),
    sa.Column('points_per_unit', sa.Integer(), nullable=False),
    sa.Column('rounding', sa.String(length=10), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('welcome_points', sa.BigInteger(), nullable=False),
    sa.Column('referral_points', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_programmes_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', name=op.f('pk_programmes'))
    )
    op.create_table('rewards',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('code', sa.String(length=60), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('cost', sa.BigInteger(), nullable=False),
    sa.Column('channel', sa.String(length=10), nullable=False),
    sa.Column('most_per_customer', sa.Integer(), nullable=True),
    sa.Column('most_in_all', sa.Integer(), nullable=True),
    sa.Column('redeemed', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('withdrawn_at', UtcDateTime(timezone=True), nullable=True),
    sa.CheckConstraint('cost > 0', name=op.f('ck_rewards_cost')),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_rewards_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rewards')),
    sa.UniqueConstraint('merchant_id', 'code', name=op.f('uq_rewards_merchant_id_code'))
    )
    op.create_table('tiers',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('threshold', sa.BigInteger(), nullable=False),
    sa.Column('valid_months', sa.Integer(), nullable=True),
    sa.CheckConstraint('threshold >= 0', name=op.f('ck_tiers_threshold')),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_tiers_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tiers')),
    sa.UniqueConstraint('merchant_id', 'name', name=op.f('uq_tiers_merchant_id_name')),
    sa.UniqueConstraint('merchant_id', 'threshold', name=op.f('uq_tiers_merchant_id_threshold'))
    )
    op.create_table('points_changes',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('change', sa.BigInteger(), nullable=False),
    sa.Column('balance', sa.BigInteger(), nullable=False),
    sa.Column('occurred_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_points_changes_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_points_changes_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_points_changes'))
    )
    with op.batch_alter_table('points_changes', schema=None) as batch_op:
        batch_op.create_index('ix_points_changes_customer_id_occurred_at', ['customer_id', 'occurred_at'], unique=False)

    op.create_table('profile_syncs',
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger(), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('lease', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('sent', sa.Text(), nullable=True),
    sa.Column('sent_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('problem', sa.String(length=500), nullable=True),
    sa.Column('problem_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_profile_syncs_customer_id_customers'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('customer_id', name=op.f('pk_profile_syncs'))
    )
    with op.batch_alter_table('profile_syncs', schema=None) as batch_op:
        batch_op.create_index('ix_profile_syncs_due', ['merchant_id', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.create_table('redemptions',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reward_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('occurred_at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_redemptions_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_redemptions_merchant_id_merchants'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['reward_id'], ['rewards.id'], name=op.f('fk_redemptions_reward_id_rewards'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_redemptions'))
    )
    with op.batch_alter_table('redemptions', schema=None) as batch_op:
        batch_op.create_index('ix_redemptions_customer_id_reward_id', ['customer_id', 'reward_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_redemptions_reward_id'), ['reward_id'], unique=False)

    with op.batch_alter_table('customers', schema=None) as batch_op:
        batch_op.add_column(sa.Column('first_name', sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column('last_name', sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column('birthday', sa.SmallInteger(), nullable=True))
        batch_op.add_column(sa.Column('birthday_told_in', sa.SmallInteger(), nullable=True))
        batch_op.add_column(sa.Column('joined_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('verified_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('balance', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('earned', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('tier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True))
        batch_op.add_column(sa.Column('tier_entered_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('tier_expires_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('tier_review_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('link_token', sa.String(length=32), server_default='', nullable=False))
        batch_op.add_column(sa.Column('card_status', sa.String(length=15), server_default='not_installed', nullable=False))
        batch_op.add_column(sa.Column('on_ios', sa.Boolean(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('on_android', sa.Boolean(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('pos_scans', sa.Integer(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('last_pos_scan_at', UtcDateTime(timezone=True), nullable=True))
        batch_op.create_index('ix_customers_birthday', ['birthday', 'id'], unique=False, sqlite_where=sa.text('birthday IS NOT NULL'), postgresql_where=sa.text('birthday IS NOT NULL'))
        batch_op.create_index('ix_customers_merchant_id_card_status_id', ['merchant_id', 'card_status', 'id'], unique=False)
        batch_op.create_index('ix_customers_merchant_id_id', ['merchant_id', 'id'], unique=False)
        batch_op.create_index('ix_customers_merchant_id_tier_id_id', ['merchant_id', 'tier_id', 'id'], unique=False)
        batch_op.create_index('ix_customers_tier_review', ['tier_review_at'], unique=False, sqlite_where=sa.text('tier_review_at IS NOT NULL'), postgresql_where=sa.text('tier_review_at IS NOT NULL'))
    _fill_what_is_there()
    with op.batch_alter_table('customers', schema=None) as batch_op:
        batch_op.create_index('uq_customers_link_token', ['link_token'], unique=True)


def _fill_what_is_there() -> None:
    connection = op.get_bind()
    merchants = [row.id for row in connection.execute(sa.text("SELECT id FROM merchants"))]
    if merchants:
        connection.execute(
            sa.text(
                "INSERT INTO programmes (merchant_id, version, tier_basis, tier_loss, points_per_unit, rounding, currency,"
                " welcome_points, referral_points) VALUES (:id, :version, 'earned_ever', 'at_once', 100, 'down', 'EUR', 0, 0)"
            ),
            [{"id": id, "version": version} for id, version in zip(merchants, new_ids(len(merchants)))],
        )
    customers = [row.id for row in connection.execute(sa.text("SELECT id FROM customers"))]
    if customers:
        connection.execute(
            sa.text("UPDATE customers SET link_token = :token WHERE id = :id"),
            [{"id": id, "token": secrets.token_urlsafe(16)} for id in customers],
        )


def downgrade() -> None:
    with op.batch_alter_table('customers', schema=None) as batch_op:
        batch_op.drop_index('uq_customers_link_token')
        batch_op.drop_index('ix_customers_tier_review', sqlite_where=sa.text('tier_review_at IS NOT NULL'), postgresql_where=sa.text('tier_review_at IS NOT NULL'))
        batch_op.drop_index('ix_customers_merchant_id_tier_id_id')
        batch_op.drop_index('ix_customers_merchant_id_id')
        batch_op.drop_index('ix_customers_merchant_id_card_status_id')
        batch_op.drop_index('ix_customers_birthday', sqlite_where=sa.text('birthday IS NOT NULL'), postgresql_where=sa.text('birthday IS NOT NULL'))
        batch_op.drop_column('last_pos_scan_at')
        batch_op.drop_column('pos_scans')
        batch_op.drop_column('on_android')
        batch_op.drop_column('on_ios')
        batch_op.drop_column('card_status')
        batch_op.drop_column('link_token')
        batch_op.drop_column('tier_review_at')
        batch_op.drop_column('tier_expires_at')
        batch_op.drop_column('tier_entered_at')
        batch_op.drop_column('tier_id')
        batch_op.drop_column('earned')
        batch_op.drop_column('balance')
        batch_op.drop_column('verified_at')
        batch_op.drop_column('joined_at')
        batch_op.drop_column('birthday_told_in')
        batch_op.drop_column('birthday')
        batch_op.drop_column('last_name')
        batch_op.drop_column('first_name')

    with op.batch_alter_table('redemptions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_redemptions_reward_id'))
        batch_op.drop_index('ix_redemptions_customer_id_reward_id')

    op.drop_table('redemptions')
    with op.batch_alter_table('profile_syncs', schema=None) as batch_op:
        batch_op.drop_index('ix_profile_syncs_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.drop_table('profile_syncs')
    with op.batch_alter_table('points_changes', schema=None) as batch_op:
        batch_op.drop_index('ix_points_changes_customer_id_occurred_at')

    op.drop_table('points_changes')
    op.drop_table('tiers')
    op.drop_table('rewards')
    op.drop_table('programmes')
