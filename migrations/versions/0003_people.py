"""people: looking for customers by how a name or an address begins, and moving them after the programme has changed"""

from alembic import op
import sqlalchemy as sa


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

SOUGHT = {'email': 'email', 'phone': 'phone', 'first_name': 'lower(first_name)', 'last_name': 'lower(last_name)'}


def upgrade() -> None:
    op.create_table('former_tiers',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('threshold', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_former_tiers_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_former_tiers'))
    )
    op.create_index(op.f('ix_former_tiers_merchant_id'), 'former_tiers', ['merchant_id'], unique=False)
    op.add_column('programmes', sa.Column('reviewed_to', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True))
    # PostgreSQL compares characters one by one only where it is told to.
    order = ' text_pattern_ops' if op.get_bind().dialect.name == 'postgresql' else ''
    for name, sought in SOUGHT.items():
        op.create_index(f'ix_customers_merchant_id_{name}', 'customers', ['merchant_id', sa.text(sought + order)], unique=False)


def downgrade() -> None:
    for name in SOUGHT:
        op.drop_index(f'ix_customers_merchant_id_{name}', 'customers')
    op.drop_column('programmes', 'reviewed_to')
    op.drop_index(op.f('ix_former_tiers_merchant_id'), table_name='former_tiers')
    op.drop_table('former_tiers')
