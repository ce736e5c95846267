import { describe, expect, it } from "vitest";
import { maskedText, testPlan } from "./testing/plan.ts";

const plan = testPlan();
const mask = (text: string): string => maskedText([text], plan).text;

describe("what is found", () => {
  it.each([
    ["His social security number is 224-87-3831.", "His social security number is [US_SSN]."],
    ["SSN: 224 87 3831", "SSN: [US_SSN]"],
    ["ssn224873831", "ssn[US_SSN]"],
    ["224-87-3831", "[US_SSN]"],
    ["ITIN 912-70-1234", "ITIN [US_ITIN]"],
    ["employer id (EIN) 12-3456789", "employer id (EIN) [US_EIN]"],
    ["4111 1111 1111 1111", "[CREDIT_CARD]"],
    ["4111-1111-1111-1111, 378282246310005", "[CREDIT_CARD], [CREDIT_CARD]"],
    ["36227206271667", "[CREDIT_CARD]"],
    ["My IBAN is GB82 WEST 1234 5698 7654 32", "My IBAN is [IBAN]"],
    ["de89370400440532013000", "[IBAN]"],
    ["routing number 021000021", "routing number [ABA_ROUTING]"],
    ["account number 1234567890", "account number [US_BANK_ACCOUNT]"],
    ["SWIFT DEUTDEFF500", "SWIFT [SWIFT_BIC]"],
    ["CUSIP 037833100", "CUSIP [CUSIP]"],
    ["passport no. A12345678", "passport no. [US_PASSPORT]"],
    ["driver's license number is LH329609T", "driver's license number is [US_DRIVER_LICENSE]"],
    ["call (212) 555-0147 x12", "call [PHONE]"],
    ["+49 30 901820 office", "[PHONE] office"],
    ["212-555-0147", "[PHONE]"],
    ["joe.o'neil+x@mail.bank.example", "[EMAIL]"],
    ["born on 12/27/1947", "born on [DATE_OF_BIRTH]"],
    ["date of birth: March 3rd, 1980", "date of birth: [DATE_OF_BIRTH]"],
    ["from 10.218.6.131", "from [IP_ADDRESS]"],
    ["3b20:9a3a:1b2f:7ce:9ef1:4787:85fc:261e", "[IP_ADDRESS]"],
    ["fe80::1ff:fe23:4567:890a", "[IP_ADDRESS]"],
    ["Dear Dr. Ada van der Byron, hello", "Dear Dr. [PERSON], hello"],
    ["my name is Grace Hopper and", "my name is [PERSON] and"],
    ["at 1600 Pennsylvania Avenue NW, Apt. 4 today", "at [STREET_ADDRESS] today"],
    ["NPI 1234567893", "NPI [NPI]"],
    ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "[CRYPTO_ADDRESS]"],
    ["0x52908400098527886E0F7030069857D2E4169EE7", "[CRYPTO_ADDRESS]"],
    ["postgres://ann:s3cret@db/x", "postgres://[URL_CREDENTIALS]@db/x"],
    ["sk-proj-abcdefghij1234567890abcdefghij", "[API_KEY]"],
    ["ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[API_KEY]"],
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-x end", "[JWT] end"],
    ["AKIAIOSFODNN7EXAMPLE", "[CLOUD_KEY]"],
    ["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- x", "[PRIVATE_KEY] x"],
  ])("%s", (text, expected) => {
    expect(mask(text)).toBe(expected);
  });
});

describe("written so that it is not seen", () => {
  it.each([
    ["full-width digits", "４１１１ １１１１ １１１１ １１１１"],
    ["Arabic-Indic digits", "٤١١١١١١١١١١١١١١١"],
    ["Devanagari digits", "४१११११११११११११११"],
    ["mathematical digits", "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏"],
    ["zero-width joiners", "4111\u200d1111\u200d1111\u200d1111"],
    ["zero-width spaces in each place", [..."4111111111111111"].join("\u200b")],
    ["soft hyphens", "4111\u00ad1111\u00ad1111\u00ad1111"],
    ["no-break spaces", "4111\u00a01111\u00a01111\u00a01111"],
    ["dashes of other kinds", "4111\u20111111\u20131111\u22121111"],
    ["mixed separators", "4111-1111 1111.1111"],
    ["underscores", "4111_1111_1111_1111"],
    ["digits one by one", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"],
    ["many zero-width characters", `4111${"\u200b".repeat(30)}111111111111`],
    ["a word glued to it", "card4111111111111111USD"],
  ])("%s", (_, text) => {
    expect(mask(`x ${text} y`)).toMatch(/^x (?:card)?\[CREDIT_CARD\](?:USD)? y$/);
  });
});

describe("what only looks like it", () => {
  it.each([
    ["an amount", "a loan of $1,234,567.89 over 360 months at 4.125 %"],
    ["a UUID", "id 550e8400-e29b-41d4-a716-446655440000"],
    ["a UUID of digits", "id 41111111-1111-4111-8111-111111111111"],
    ["times", "2026-11-27T05:38:45.123Z and 18:02:08, epoch 1764221925 and 1764221925123"],
    ["an order number", "order 123-45-6789 of 2024-01-15"],
    ["a hash", "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ["base64", "TWFuIGlzIGRpc3Rpbmd1aXNoZWQ0MTExMTExMTExMTExMTEx"],
    ["a version", "version 10.2.0.1 of std::vector<int> and v1.2.3.4"],
    ["a model's weights", "[0.0123456789012345, -1.4111111111111111, 3e-17, 12345.678]"],
    ["a card that is none", "4111 1111 1111 1112"],
    ["an IBAN that is none", "GB82 WEST 1234 5698 7654 33"],
    ["an SSN that was never given", "666-12-3456 and 000-12-3456 and 123-00-4567"],
    ["a handle", "ask @ada or ada@home"],
    ["an ISBN", "ISBN 978-3-16-148410-0"],
    ["a table of numbers", "2021 1204 3391 8812\n2022 1311 3402 9120"],
    ["code", "for (let i = 0; i < 10; i++) a[i] = b::c(i) - 123456;"],
    ["a ratio and a date", "a score of 712 on 03/04/2025, up 12.5% from 683"],
  ])("%s", (_, text) => {
    expect(mask(text)).toBe(text);
  });
});

describe("actions", () => {
  it("stars keep the form and the last, never all", () => {
    const starred = testPlan(["CREDIT_CARD", "US_SSN"], { kind: "mask", keepLast: 4 });
    expect(maskedText(["4111 1111 1111 1111, 224-87-3831"], starred).text).toBe("**** **** **** 1111, ***-**-3831");
    const much = testPlan(["EMAIL"], { kind: "mask", keepLast: 16 });
    expect(maskedText(["a@b.co"], much).text).toBe("*@*.co");
  });

  it("a pseudonym is the same for a value, however it was written", () => {
    const alias = testPlan(["CREDIT_CARD"], { kind: "pseudonym" });
    const [one, two, three] = maskedText(
      ["4111 1111 1111 1111;4111111111111111;5500 0000 0000 0004"],
      alias,
    ).text.split(";");
    expect(one).toMatch(/^\[CREDIT_CARD:[0-9a-f]{12}\]$/);
    expect(two).toBe(one);
    expect(three).not.toBe(one);
  });

  it("block refuses, and does not say what", () => {
    const blocked = testPlan(["CREDIT_CARD"], { kind: "block" });
    expect(() => maskedText(["4111111111111111"], blocked)).toThrow(
      expect.objectContaining({ code: "policy_blocked", message: expect.not.stringContaining("4111") }),
    );
  });
});
