"""history imports: what is brought in from before, its file while it is read, its rows while they wait, and those refused"""

from alembic import op
import sqlalchemy as sa
from portal.db import UtcDateTime


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('imports',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('merchant_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('created_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('changed_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('started_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.String(length=500), nullable=True),
    sa.Column('due_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('lease', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('turns', sa.Integer(), nullable=False),
    sa.Column('format', sa.String(length=5), nullable=False),
    sa.Column('encoding', sa.String(length=10), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('pieces', sa.Integer(), nullable=False),
    sa.Column('pieces_read', sa.Integer(), nullable=False),
    sa.Column('lines_read', sa.Integer(), nullable=False),
    sa.Column('rest', sa.LargeBinary(), nullable=False),
    sa.Column('header', sa.Text(), nullable=True),
    sa.Column('columns_ignored', sa.String(length=500), nullable=False),
    sa.Column('found', sa.Integer(), nullable=False),
    sa.Column('refused', sa.Integer(), nullable=False),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('known', sa.Integer(), nullable=False),
    sa.Column('promised', sa.Integer(), nullable=False),
    sa.Column('first_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('last_at', UtcDateTime(timezone=True), nullable=True),
    sa.Column('at_time', UtcDateTime(timezone=True), nullable=True),
    sa.Column('at_number', sa.BigInteger(), nullable=False),
    sa.Column('up_to_number', sa.BigInteger(), nullable=False),
    sa.Column('busy_seconds', sa.Double(), nullable=False),
    sa.Column('stepped_at', UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.id'], name=op.f('fk_imports_merchant_id_merchants'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_imports'))
    )
    with op.batch_alter_table('imports', schema=None) as batch_op:
        batch_op.create_index('ix_imports_due', ['due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
        batch_op.create_index('ix_imports_merchant_id_id', ['merchant_id', 'id'], unique=False)

    op.create_table('import_pieces',
    sa.Column('import_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['import_id'], ['imports.id'], name=op.f('fk_import_pieces_import_id_imports'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('import_id', 'number', name=op.f('pk_import_pieces'))
    )
    op.create_table('import_problems',
    sa.Column('import_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('line', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('event_id', sa.String(length=200), nullable=True),
    sa.Column('reason', sa.String(length=500), nullable=False),
    sa.ForeignKeyConstraint(['import_id'], ['imports.id'], name=op.f('fk_import_problems_import_id_imports'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('import_id', 'line', name=op.f('pk_import_problems'))
    )
    op.create_table('import_rows',
    sa.Column('import_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('occurred_at', UtcDateTime(timezone=True), nullable=False),
    sa.Column('line', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('event_id', sa.String(length=200), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['import_id'], ['imports.id'], name=op.f('fk_import_rows_import_id_imports'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('import_id', 'occurred_at', 'line', name=op.f('pk_import_rows')),
    sa.UniqueConstraint('import_id', 'event_id', name=op.f('uq_import_rows_import_id_event_id'))
    )


def downgrade() -> None:
    op.drop_table('import_rows')
    op.drop_table('import_problems')
    op.drop_table('import_pieces')
    with op.batch_alter_table('imports', schema=None) as batch_op:
        batch_op.drop_index('ix_imports_merchant_id_id')
        batch_op.drop_index('ix_imports_due', sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    op.drop_table('imports')
