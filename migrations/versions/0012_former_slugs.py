"""former slugs: links that were shared under a programme's last short name go on working"""

from alembic import op
import sqlalchemy as sa


revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('former_slugs',
    sa.Column('slug', sa.String(length=60), nullable=False),
    sa.Column('merchant_id', BIG_ID, nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_former_slugs_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('slug', name=op.f('pk_former_slugs'))
    )
    op.create_index(op.f('ix_former_slugs_merchant_id'), 'former_slugs', ['merchant_id'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_former_slugs_merchant_id'), table_name='former_slugs')
    op.drop_table('former_slugs')
