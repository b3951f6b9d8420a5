// Reads a .pkpass with KDE's library, which knows nothing of ours, and prints what it understood as JSON.
#include <KPkPass/Barcode>
#include <KPkPass/Field>
#include <KPkPass/Location>
#include <KPkPass/Pass>
#include <QColor>
#include <QImage>
#include <QJsonDocument>
#include <QJsonObject>
#include <QUrl>
#include <cstdio>
#include <memory>

int main(int, char **arguments)
{
    const std::unique_ptr<KPkPass::Pass> pass(KPkPass::Pass::fromFile(QString::fromLocal8Bit(arguments[1])));
    if (!pass) {
        return 1;
    }
    QJsonObject fields;
    for (const auto &field : pass->fields()) {
        fields[field.key()] = QJsonObject{{"label", field.label()}, {"shown", field.valueDisplayString()}, {"changed", field.changeMessage()}};
    }
    QJsonObject barcodes;
    for (const auto &barcode : pass->barcodes()) {
        barcodes[barcode.message()] = barcode.format();
    }
    const QJsonObject understood{
        {"is_store_card", pass->type() == KPkPass::Pass::StoreCard},
        {"organization", pass->organizationName()},
        {"description", pass->description()},
        {"update_url", pass->passUpdateUrl().toString()},
        {"token", pass->authenticationToken()},
        {"background", pass->backgroundColor().name()},
        {"expires_at", pass->expirationDate().toUTC().toString(Qt::ISODate)},
        {"locations", pass->locations().size()},
        {"icon_pixels", pass->icon(2).width()},
        {"fields", fields},
        {"barcodes", barcodes},
    };
    std::puts(QJsonDocument(understood).toJson().constData());
}
