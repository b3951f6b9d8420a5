"""The vendor's vocabulary for loyalty cards: which members each type has, what they may hold, and which words are known.

Taken from Google's discovery document of 2026-08-06, with which a test compares it. A member without a type is a text.
"""

import re
from functools import cache

_MEMBERS = """
AddMessageRequest: message=Message
AppLinkData: androidAppLinkInfo=AppLinkDataAppLinkInfo displayText=LocalizedString
    iosAppLinkInfo=AppLinkDataAppLinkInfo webAppLinkInfo=AppLinkDataAppLinkInfo
AppLinkDataAppLinkInfo: appLogoImage=Image appTarget=AppLinkDataAppLinkInfoAppTarget description=LocalizedString
    title=LocalizedString
AppLinkDataAppLinkInfoAppTarget: packageName targetUri=Uri
Barcode: alternateText kind renderEncoding showCodeText=LocalizedString type value
BarcodeSectionDetail: fieldSelector=FieldSelector
CallbackOptions: updateRequestUrl url
CardBarcodeSectionDetails: firstBottomDetail=BarcodeSectionDetail firstTopDetail=BarcodeSectionDetail
    secondTopDetail=BarcodeSectionDetail
CardRowOneItem: item=TemplateItem
CardRowTemplateInfo: oneItem=CardRowOneItem threeItems=CardRowThreeItems twoItems=CardRowTwoItems
CardRowThreeItems: endItem=TemplateItem middleItem=TemplateItem startItem=TemplateItem
CardRowTwoItems: endItem=TemplateItem startItem=TemplateItem
CardTemplateOverride: cardRowTemplateInfos=[CardRowTemplateInfo]
ClassTemplateInfo: cardBarcodeSectionDetails=CardBarcodeSectionDetails cardTemplateOverride=CardTemplateOverride
    detailsTemplateOverride=DetailsTemplateOverride listTemplateOverride=ListTemplateOverride
DateTime: date
DetailsItemInfo: item=TemplateItem
DetailsTemplateOverride: detailsItemInfos=[DetailsItemInfo]
DiscoverableProgram: merchantSigninInfo=DiscoverableProgramMerchantSigninInfo
    merchantSignupInfo=DiscoverableProgramMerchantSignupInfo state
DiscoverableProgramMerchantSigninInfo: signinWebsite=Uri
DiscoverableProgramMerchantSignupInfo: signupSharedDatas=[string] signupWebsite=Uri
FieldReference: dateFormat fieldPath
FieldSelector: fields=[FieldReference]
FirstRowOption: fieldOption=FieldSelector transitOption
GroupingInfo: groupingId sortIndex=int32
Image: contentDescription=LocalizedString kind privateImageId sourceUri=ImageUri
ImageModuleData: id mainImage=Image
ImageUri: description localizedDescription=LocalizedString uri
InfoModuleData: labelValueRows=[LabelValueRow] showLastUpdateTime=boolean
LabelValue: label localizedLabel=LocalizedString localizedValue=LocalizedString value
LabelValueRow: columns=[LabelValue]
LatLongPoint: kind latitude=double longitude=double
LinksModuleData: uris=[Uri]
ListTemplateOverride: firstRowOption=FirstRowOption secondRowOption=FieldSelector thirdRowOption=FieldSelector
LocalizedString: defaultValue=TranslatedString kind translatedValues=[TranslatedString]
LoyaltyClass: accountIdLabel accountNameLabel allowMultipleUsersPerObject=boolean appLinkData=AppLinkData
    callbackOptions=CallbackOptions classTemplateInfo=ClassTemplateInfo countryCode
    discoverableProgram=DiscoverableProgram enableSmartTap=boolean heroImage=Image hexBackgroundColor
    homepageUri=Uri id imageModulesData=[ImageModuleData] infoModuleData=InfoModuleData issuerName kind
    linksModuleData=LinksModuleData localizedAccountIdLabel=LocalizedString
    localizedAccountNameLabel=LocalizedString localizedIssuerName=LocalizedString
    localizedProgramName=LocalizedString localizedRewardsTier=LocalizedString
    localizedRewardsTierLabel=LocalizedString localizedSecondaryRewardsTier=LocalizedString
    localizedSecondaryRewardsTierLabel=LocalizedString locations=[LatLongPoint] merchantLocations=[MerchantLocation]
    messages=[Message] multipleDevicesAndHoldersAllowedStatus notifyPreference programLogo=Image programName
    redemptionIssuers=[int64] review=Review reviewStatus rewardsTier rewardsTierLabel secondaryRewardsTier
    secondaryRewardsTierLabel securityAnimation=SecurityAnimation textModulesData=[TextModuleData]
    valueAddedModuleData=[ValueAddedModuleData] version=int64 viewUnlockRequirement wideProgramLogo=Image
    wordMark=Image
LoyaltyObject: accountId accountName appLinkData=AppLinkData barcode=Barcode classId classReference=LoyaltyClass
    disableExpirationNotification=boolean groupingInfo=GroupingInfo hasLinkedDevice=boolean hasUsers=boolean
    heroImage=Image id imageModulesData=[ImageModuleData] infoModuleData=InfoModuleData kind
    linkedObjectIds=[string] linkedOfferIds=[string] linksModuleData=LinksModuleData locations=[LatLongPoint]
    loyaltyPoints=LoyaltyPoints merchantLocations=[MerchantLocation] messages=[Message] notifyPreference
    passConstraints=PassConstraints rotatingBarcode=RotatingBarcode saveRestrictions=SaveRestrictions
    secondaryLoyaltyPoints=LoyaltyPoints smartTapRedemptionValue state textModulesData=[TextModuleData]
    validTimeInterval=TimeInterval valueAddedModuleData=[ValueAddedModuleData] version=int64
LoyaltyPoints: balance=LoyaltyPointsBalance label localizedLabel=LocalizedString
LoyaltyPointsBalance: double=double int=int32 money=Money string
MerchantLocation: latitude=double longitude=double
Message: body displayInterval=TimeInterval header id kind localizedBody=LocalizedString
    localizedHeader=LocalizedString messageType
ModuleViewConstraints: displayInterval=TimeInterval
Money: currencyCode kind micros=int64
PassConstraints: nfcConstraint=[string] screenshotEligibility
Review: comments
RotatingBarcode: alternateText initialRotatingBarcodeValues=RotatingBarcodeValues renderEncoding
    showCodeText=LocalizedString totpDetails=RotatingBarcodeTotpDetails type valuePattern
RotatingBarcodeTotpDetails: algorithm parameters=[RotatingBarcodeTotpDetailsTotpParameters] periodMillis=int64
RotatingBarcodeTotpDetailsTotpParameters: key valueLength=int32
RotatingBarcodeValues: periodMillis=int64 startDateTime values=[string]
SaveRestrictions: restrictToEmailSha256
SecurityAnimation: animationType
TemplateItem: firstValue=FieldSelector predefinedItem secondValue=FieldSelector
TextModuleData: body header id localizedBody=LocalizedString localizedHeader=LocalizedString
TimeInterval: end=DateTime kind start=DateTime
TranslatedString: kind language value
Uri: description id kind localizedDescription=LocalizedString uri
ValueAddedModuleData: body=LocalizedString header=LocalizedString image=Image sortIndex=int32 uri
    viewConstraints=ModuleViewConstraints
"""

# Only the spellings of today: the older ones, such as `active`, are deprecated.
_WORDS = """
Barcode.renderEncoding: UTF_8
Barcode.type: AZTEC CODE_39 CODE_128 CODABAR DATA_MATRIX EAN_8 EAN_13 ITF_14 PDF_417 QR_CODE UPC_A TEXT_ONLY
DiscoverableProgram.state: TRUSTED_TESTERS LIVE DISABLED
DiscoverableProgramMerchantSignupInfo.signupSharedDatas: FIRST_NAME LAST_NAME STREET_ADDRESS ADDRESS_LINE_1
    ADDRESS_LINE_2 ADDRESS_LINE_3 CITY STATE ZIPCODE COUNTRY EMAIL PHONE
FieldReference.dateFormat: DATE_TIME DATE_ONLY TIME_ONLY DATE_TIME_YEAR DATE_YEAR YEAR_MONTH YEAR_MONTH_DAY
FirstRowOption.transitOption: ORIGIN_AND_DESTINATION_NAMES ORIGIN_AND_DESTINATION_CODES ORIGIN_NAME
LoyaltyClass.multipleDevicesAndHoldersAllowedStatus: MULTIPLE_HOLDERS ONE_USER_ALL_DEVICES ONE_USER_ONE_DEVICE
LoyaltyClass.notifyPreference: NOTIFY_ON_UPDATE
LoyaltyClass.reviewStatus: UNDER_REVIEW APPROVED REJECTED DRAFT
LoyaltyClass.viewUnlockRequirement: UNLOCK_NOT_REQUIRED UNLOCK_REQUIRED_TO_VIEW
LoyaltyObject.notifyPreference: NOTIFY_ON_UPDATE
LoyaltyObject.state: ACTIVE COMPLETED EXPIRED INACTIVE
Message.messageType: TEXT EXPIRATION_NOTIFICATION TEXT_AND_NOTIFY
PassConstraints.nfcConstraint: BLOCK_PAYMENT BLOCK_CLOSED_LOOP_TRANSIT
PassConstraints.screenshotEligibility: ELIGIBLE INELIGIBLE
RotatingBarcode.renderEncoding: UTF_8
RotatingBarcode.type: AZTEC CODE_39 CODE_128 CODABAR DATA_MATRIX EAN_8 EAN_13 ITF_14 PDF_417 QR_CODE UPC_A TEXT_ONLY
RotatingBarcodeTotpDetails.algorithm: TOTP_SHA1
SecurityAnimation.animationType: FOIL_SHIMMER
TemplateItem.predefinedItem: FREQUENT_FLYER_PROGRAM_NAME_AND_NUMBER FLIGHT_NUMBER_AND_OPERATING_FLIGHT_NUMBER
"""


def _entries(table: str) -> dict[str, list[str]]:
    joined = re.sub(r"\n +", " ", table.strip())
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in joined.splitlines())}


@cache
def members() -> dict[str, dict[str, str]]:
    """Type to member to type: `string`, `boolean`, `int32`, `int64`, `double`, the name of a type, or one in brackets."""
    return {
        name: {member: kind or "string" for member, _, kind in (each.partition("=") for each in found)}
        for name, found in _entries(_MEMBERS).items()
    }


@cache
def words() -> dict[str, frozenset[str]]:
    """`Type.member` to the words that it may hold."""
    return {name: frozenset(found) for name, found in _entries(_WORDS).items()}
