import type { PiiType } from "./types.ts";

/** Members of JSON objects whose name says that the whole value is a person's, a street or a secret. In lower case, letters alone. */
const MEMBERS: ReadonlyMap<string, PiiType> = new Map([
  ...([
    "firstname lastname middlename fullname surname givenname familyname maidenname forename nickname legalname",
    "customername clientname applicantname coapplicantname borrowername coborrowername guarantorname cosignername employeename",
    "accountholder accountholdername accountname cardholder cardholdername beneficiary beneficiaryname payee payeename payer",
    "payername patientname contactname ownername membername personname insuredname spousename dependentname signatory fathername mothername",
  ]
    .join(" ")
    .split(" ")
    .map((name) => [name, "PERSON"]) as [string, PiiType][]),
  ...("street streetaddress streetline streetname addressline addressline1 addressline2 address1 address2 homeaddress mailingaddress billingaddress shippingaddress residentialaddress"
    .split(" ")
    .map((name) => [name, "STREET_ADDRESS"]) as [string, PiiType][]),
  ...("password passwd apikey secretkey clientsecret accesstoken refreshtoken privatekey secretaccesskey"
    .split(" ")
    .map((name) => [name, "API_KEY"]) as [string, PiiType][]),
]);

/** Members that often hold a name, and often something else: the value has to look like one. */
const PERHAPS: ReadonlyMap<string, PiiType> = new Map([
  ["name", "PERSON"],
  ["applicant", "PERSON"],
  ["borrower", "PERSON"],
  ["customer", "PERSON"],
  ["address", "STREET_ADDRESS"],
]);

const NAME =
  /^\p{Lu}[\p{L}'’.-]+(?: (?:\p{Lu}\.|(?:van|von|de|der|la|di|da|del|bin) ?)?){1,2}(?: ?\p{Lu}[\p{L}'’.-]+){1,3}$|^\p{Lu}[\p{L}'’-]+(?: \p{Lu}[\p{L}'’.-]*){1,3}$/u;
const STREET = /^\d{1,6}\w? \p{L}/u;
/** Words of things that are written like names. */
const THINGS =
  /\b(?:Model|Credit|Risk|Score|Bank|Inc|Ltd|LLC|Corp|Team|System|Service|Data|Loan|Card|Report|Test|Default|Version|Probability|Class)\b/;

/** Longest value that is taken whole. */
const LONGEST = 256;

const known = new Map<string, PiiType | "perhaps" | undefined>();

/**
 * What the whole value of a member is by the member's name. `end` −1: the value is not there yet; then a name that needs to see
 * it counts.
 */
export function typeOfMember(
  member: string,
  text: string,
  start: number,
  end: number,
  wanted: ReadonlySet<PiiType>,
): PiiType | undefined {
  if (member === "" || (!wanted.has("PERSON") && !wanted.has("STREET_ADDRESS") && !wanted.has("API_KEY")))
    return undefined;
  let type = known.get(member);
  if (type === undefined && !known.has(member)) {
    const plain = member.toLowerCase().replace(/[^a-z0-9]/g, "");
    type = MEMBERS.get(plain) ?? (PERHAPS.has(plain) ? "perhaps" : undefined);
    if (known.size < 4_096) known.set(member, type);
  }
  if (type === undefined) return undefined;
  if (type !== "perhaps")
    return wanted.has(type) && (end < 0 || (end > start && end - start <= LONGEST)) ? type : undefined;
  const perhaps = PERHAPS.get(member.toLowerCase().replace(/[^a-z0-9]/g, "")) as PiiType;
  if (!wanted.has(perhaps)) return undefined;
  if (end < 0) return perhaps;
  if (end - start > 64) return undefined;
  const value = text.slice(start, end);
  return (perhaps === "PERSON" ? NAME.test(value) && !THINGS.test(value) : STREET.test(value)) ? perhaps : undefined;
}
