"""erased identifiers: hashes of who was erased while a file of history waited, so that it does not bring them back"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('erased_identifiers',
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('id_hash', sa.LargeBinary(length=16), nullable=False),
    sa.Column('erased_at', UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_erased_identifiers_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('merchant_id', 'id_hash', name=op.f('pk_erased_identifiers'))
    )


def downgrade() -> None:
    op.drop_table('erased_identifiers')
