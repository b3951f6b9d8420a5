"""tier and card: customers filtered by both are listed from one index"""

from alembic import op


revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('customers', schema=None) as batch_op:
        batch_op.create_index('ix_customers_merchant_id_tier_id_card_status_id', ['merchant_id', 'tier_id', 'card_status', 'id'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('customers', schema=None) as batch_op:
        batch_op.drop_index('ix_customers_merchant_id_tier_id_card_status_id')
