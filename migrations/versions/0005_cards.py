"""cards: designs with pictures and links, each customer's card, the phones it is on, and what a merchant has at Apple and Google"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('card_sequence',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('last', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_card_sequence'))
    )
    op.create_table('google_nonces',
    sa.Column('nonce_hash', sa.String(length=64), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('nonce_hash', name=op.f('pk_google_nonces'))
    )
    with op.batch_alter_table('google_nonces', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_google_nonces_at'), ['at'], unique=False)

    op.create_table('apple_certificates',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('certificate_pem', sa.Text(), nullable=False),
    sa.Column('intermediate_pem', sa.Text(), nullable=False),
    sa.Column('key_sealed', sa.Text(), nullable=False),
    sa.Column('pass_type_id', sa.String(length=100), nullable=False),
    sa.Column('team_id', sa.String(length=40), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('not_after', UtcDateTime(timezone=True), nullable=False),
    sa.Column('uploaded_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('uploaded_by', sa.String(length=254), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_apple_certificates_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', name=op.f('pk_apple_certificates'))
    )
    op.create_table('card_links',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('label', sa.String(length=60), nullable=False),
    sa.Column('url', sa.String(length=2000), nullable=False),
    sa.Column('made_at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_card_links_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_card_links'))
    )
    with op.batch_alter_table('card_links', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_card_links_merchant_id'), ['merchant_id'], unique=False)

    op.create_table('card_pictures',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('slot', sa.String(length=10), nullable=False),
    sa.Column('small', sa.LargeBinary(), nullable=False),
    sa.Column('medium', sa.LargeBinary(), nullable=False),
    sa.Column('large', sa.LargeBinary(), nullable=False),
    sa.Column('made_at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_card_pictures_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_card_pictures'))
    )
    with op.batch_alter_table('card_pictures', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_card_pictures_merchant_id'), ['merchant_id'], unique=False)

    op.create_table('devices',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('library_id', sa.String(length=200), nullable=False),
    sa.Column('pass_type_id', sa.String(length=100), nullable=False),
    sa.Column('push_token', sa.String(length=200), nullable=False),
    sa.Column('registered_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('token_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('wakes', sa.Integer(), nullable=False),
    sa.Column('pushed_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.String(length=20), nullable=True),
    sa.Column('reason', sa.String(length=80), nullable=True),
    sa.Column('listed_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('offered', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_devices_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_devices')),
    sa.UniqueConstraint('library_id', 'pass_type_id', 'merchant_id', name=op.f('uq_devices_library_id_pass_type_id_merchant_id'))
    )
    with op.batch_alter_table('devices', schema=None) as batch_op:
        batch_op.create_index('ix_devices_due', ['merchant_id', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.create_table('google_accounts',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('issuer_id', sa.String(length=30), nullable=False),
    sa.Column('client_email', sa.String(length=254), nullable=False),
    sa.Column('file_sealed', sa.Text(), nullable=False),
    sa.Column('uploaded_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('uploaded_by', sa.String(length=254), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_google_accounts_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', name=op.f('pk_google_accounts'))
    )
    op.create_table('google_classes',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('class_id', sa.String(length=120), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_google_classes_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', name=op.f('pk_google_classes'))
    )
    with op.batch_alter_table('google_classes', schema=None) as batch_op:
        batch_op.create_index('ix_google_classes_due', ['due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.create_table('wallet_health',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('wallet', sa.String(length=10), nullable=False),
    sa.Column('problem', sa.String(length=500), nullable=True),
    sa.Column('since', UtcDateTime(timezone=True), nullable=True),
    sa.Column('paused_until', UtcDateTime(timezone=True), nullable=True),
    sa.Column('failures_in_a_row', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_wallet_health_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', 'wallet', name=op.f('pk_wallet_health'))
    )
    op.create_table('card_designs',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('made_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('made_by', sa.String(length=254), nullable=False),
    sa.Column('background', sa.String(length=7), nullable=False),
    sa.Column('foreground', sa.String(length=7), nullable=False),
    sa.Column('label', sa.String(length=7), nullable=False),
    sa.Column('organisation', sa.String(length=100), nullable=False),
    sa.Column('logo_text', sa.String(length=40), nullable=False),
    sa.Column('balance_label', sa.String(length=30), nullable=False),
    sa.Column('tier_label', sa.String(length=30), nullable=False),
    sa.Column('next_tier_label', sa.String(length=30), nullable=False),
    sa.Column('next_reward_label', sa.String(length=30), nullable=False),
    sa.Column('balance_message', sa.String(length=100), nullable=False),
    sa.Column('icon_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('logo_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('strip_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('link_ids', sa.JSON(), nullable=False),
    sa.Column('locations', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['icon_id'], ['card_pictures.id'], name=op.f('fk_card_designs_icon_id_card_pictures')),
    sa.ForeignKeyConstraint(['logo_id'], ['card_pictures.id'], name=op.f('fk_card_designs_logo_id_card_pictures')),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_card_designs_merchant_id_merchants'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['strip_id'], ['card_pictures.id'], name=op.f('fk_card_designs_strip_id_card_pictures')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_card_designs')),
    sa.UniqueConstraint('merchant_id', 'number', name=op.f('uq_card_designs_merchant_id_number'))
    )
    op.create_table('cards',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('serial', sa.String(length=32), nullable=False),
    sa.Column('token_sealed', sa.Text(), nullable=False),
    sa.Column('made_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('modified_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('face', sa.JSON(), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('issued_version', sa.BigInteger(), nullable=False),
    sa.Column('voided', sa.Boolean(), nullable=False),
    sa.Column('installs', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customers.id'], name=op.f('fk_cards_customer_id_customers'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_cards_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_cards')),
    sa.UniqueConstraint('customer_id', name=op.f('uq_cards_customer_id')),
    sa.UniqueConstraint('serial', name=op.f('uq_cards_serial'))
    )
    with op.batch_alter_table('cards', schema=None) as batch_op:
        batch_op.create_index('ix_cards_due', ['merchant_id', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
        batch_op.create_index('ix_cards_merchant_id_id', ['merchant_id', 'id'], unique=False)

    op.create_table('card_messages',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('card_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('url', sa.String(length=2000), nullable=True),
    sa.Column('made_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=True),
    sa.Column('shown_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_card_messages_card_id_cards'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_card_messages_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_card_messages'))
    )
    with op.batch_alter_table('card_messages', schema=None) as batch_op:
        batch_op.create_index('ix_card_messages_card_id_id', ['card_id', 'id'], unique=False)
        batch_op.create_index('ix_card_messages_waiting', ['card_id', 'id'], unique=False, sqlite_where=sa.text('version IS NULL'), postgresql_where=sa.text('version IS NULL'))

    op.create_table('device_complaints',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('card_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('text', sa.String(length=1000), nullable=False),
    sa.Column('at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_device_complaints_card_id_cards'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_device_complaints_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_device_complaints'))
    )
    with op.batch_alter_table('device_complaints', schema=None) as batch_op:
        batch_op.create_index('ix_device_complaints_merchant_id_id', ['merchant_id', 'id'], unique=False)

    op.create_table('google_cards',
    sa.Column('card_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('object_id', sa.String(length=120), nullable=False),
    sa.Column('class_id', sa.String(length=120), nullable=False),
    sa.Column('has_users', sa.Boolean(), nullable=False),
    sa.Column('synced_version', sa.BigInteger(), nullable=False),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('installs', sa.Integer(), nullable=False),
    sa.Column('problem', sa.String(length=500), nullable=True),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_google_cards_card_id_cards'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_google_cards_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('card_id', name=op.f('pk_google_cards')),
    sa.UniqueConstraint('object_id', name=op.f('uq_google_cards_object_id'))
    )
    with op.batch_alter_table('google_cards', schema=None) as batch_op:
        batch_op.create_index('ix_google_cards_due', ['merchant_id', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.create_table('registrations',
    sa.Column('device_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('card_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('registered_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('fetched_version', sa.BigInteger(), nullable=False),
    sa.Column('fetched_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_registrations_card_id_cards'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_registrations_device_id_devices'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_registrations_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('device_id', 'card_id', name=op.f('pk_registrations'))
    )
    with op.batch_alter_table('registrations', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_registrations_card_id'), ['card_id'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('registrations', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_registrations_card_id'))

    op.drop_table('registrations')
    with op.batch_alter_table('google_cards', schema=None) as batch_op:
        batch_op.drop_index('ix_google_cards_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.drop_table('google_cards')
    with op.batch_alter_table('device_complaints', schema=None) as batch_op:
        batch_op.drop_index('ix_device_complaints_merchant_id_id')

    op.drop_table('device_complaints')
    with op.batch_alter_table('card_messages', schema=None) as batch_op:
        batch_op.drop_index('ix_card_messages_waiting', sqlite_where=sa.text('version IS NULL'), postgresql_where=sa.text('version IS NULL'))
        batch_op.drop_index('ix_card_messages_card_id_id')

    op.drop_table('card_messages')
    with op.batch_alter_table('cards', schema=None) as batch_op:
        batch_op.drop_index('ix_cards_merchant_id_id')
        batch_op.drop_index('ix_cards_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.drop_table('cards')
    op.drop_table('card_designs')
    op.drop_table('wallet_health')
    with op.batch_alter_table('google_classes', schema=None) as batch_op:
        batch_op.drop_index('ix_google_classes_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.drop_table('google_classes')
    op.drop_table('google_accounts')
    with op.batch_alter_table('devices', schema=None) as batch_op:
        batch_op.drop_index('ix_devices_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.drop_table('devices')
    with op.batch_alter_table('card_pictures', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_card_pictures_merchant_id'))

    op.drop_table('card_pictures')
    with op.batch_alter_table('card_links', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_card_links_merchant_id'))

    op.drop_table('card_links')
    op.drop_table('apple_certificates')
    with op.batch_alter_table('google_nonces', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_google_nonces_at'))

    op.drop_table('google_nonces')
    op.drop_table('card_sequence')
