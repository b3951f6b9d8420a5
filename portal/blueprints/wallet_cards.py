"""Settings > Wallet cards: the certificate for Apple and the service account for Google, how they fare, and what phones complain of."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import FileField, MultipleFileField, PasswordField, StringField
from wtforms.validators import Length

from portal.db import transaction, utcnow
from portal.errors import InvalidError, PortalError
from portal.services import auditing, passkit, wallet_setup
from portal.web import Feedback, login_required, member_id, merchant_id, owner_required, refuse, to_page

bp = Blueprint("wallet_cards", __name__, url_prefix="/settings/wallet-cards")

COMPLAINTS = 20


class CertificateForm(FlaskForm):
    files = MultipleFileField("Certificate and key")
    password = PasswordField("Password of the file", [Length(max=200)])


class AccountForm(FlaskForm):
    issuer_id = StringField("Issuer's number", [Length(max=30)])
    file = FileField("Key of the service account")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    return _show(CertificateForm(), AccountForm())


@bp.post("/certificate")
@owner_required
def bring_certificate() -> ResponseReturnValue:
    form = CertificateForm()
    try:
        if not form.validate():
            raise InvalidError("The password is too long.", field="password")
        files = [content for each in form.files.data or () if hasattr(each, "read") and (content := each.read())]
        if not files:
            raise InvalidError("Choose the files that you got from Apple or exported from your Mac.", field="files")
        with transaction():
            own = wallet_setup.bring_certificate(merchant_id(), files, form.password.data or "", member_id())
            auditing.record(merchant_id(), member_id(), "wallet certificate uploaded", own.pass_type_id)
    except PortalError as error:
        refuse(form, error)
        return _show(form, AccountForm(formdata=None)), 422
    return to_page(url_for("wallet_cards.index"), Feedback("The certificate is in use from now on."))


@bp.post("/google")
@owner_required
def bring_account() -> ResponseReturnValue:
    form = AccountForm()
    try:
        upload = form.file.data
        content = upload.read() if hasattr(upload, "read") else b""
        if not content:
            raise InvalidError("Choose the JSON file that Google's console gave you.", field="file")
        with transaction():
            own = wallet_setup.bring_account(
                merchant_id(), content.decode(errors="replace"), (form.issuer_id.data or "").strip(), member_id()
            )
            auditing.record(merchant_id(), member_id(), "Google Wallet account uploaded", own.client_email)
    except PortalError as error:
        refuse(form, error)
        return _show(CertificateForm(formdata=None), form), 422
    return to_page(url_for("wallet_cards.index"), Feedback("The service account is in use from now on."))


def _show(certificate_form: CertificateForm, account_form: AccountForm) -> str:
    return render_template(
        "wallet_cards/index.html",
        setup=wallet_setup.setup(merchant_id()),
        warnings=wallet_setup.warnings(merchant_id(), utcnow()),
        complaints=passkit.complaints(merchant_id(), COMPLAINTS),
        certificate_form=certificate_form,
        account_form=account_form,
    )
