/**
 * VERIFY.md of every bundle, and docs/verifying.md: a test holds the two together and runs the commands. In it there is no
 * backtick, and every dollar sign before a brace is written so that it is no substitution.
 */
export const VERIFY_GUIDE: string = String.raw`# How to check an evidence bundle

A bundle holds a stretch of a hoopish log: every record of it, the payloads that were asked for, and what is needed to show
that nothing was changed, left out or put in. This page says how to check it with common tools and published specifications,
without any program of ours. The program does the same, faster:

    hoopish audit verify evidence.tar.gz --key "$KEY"

Specifications: RFC 6962 §2 (the tree), RFC 8785 (how a record is written), RFC 2104 (HMAC), RFC 8032 (Ed25519), C2SP
signed-note and tlog-checkpoint (https://c2sp.org), RFC 3161 (timestamps), POSIX ustar and RFC 1952 (the archive).

**You need the log's verifier key, from somebody you trust, and not from whoever gave you the bundle**: whoever can choose the
key can sign anything. It looks like gateway.bank.example/hoopish+2edf9075+AVy3hvmw…

The commands below are for a POSIX shell, with openssl 3, sha256sum, gzip, tar, jq and awk. Run them in the order in which
they stand, in one shell, in a folder that holds evidence.tar.gz, with the key in the variable KEY. A test runs exactly these.

## 1. What is in it

| file | what it is |
|---|---|
| manifest.json, manifest.note | what was asked for, the SHA-256 of every file, and the log's signature over it |
| scope.json | the first part of the manifest, for those who read the bundle in one pass |
| checkpoints/start.note, end.note | signed: the log had so many records, with this root. No start.note: from the beginning |
| checkpoints/history.jsonl | the checkpoints between |
| left-edge.json | roots of the perfect subtrees of the records before the range, largest first |
| records/NNNNNN.jsonl.gz | the records, exact bytes, one a line |
| payloads/CALL/FIELD, .salt | what went in and came out, and the salt that opens the record's commitment to it |
| payloads/NNNNNN.sha256 | the SHA-256 of the payload files that belong to records/NNNNNN |
| anchors/ | checkpoints that others have seen: witnesses' cosignatures, RFC 3161 timestamps |
| views/ | tables made from the records, for reading; the records are what counts |

~~~sh
export LC_ALL=C
verdict=0
good() { echo "ok:  $*"; }
bad() { echo "BAD: $*"; verdict=1; }
missing() { echo "MISSING: $*"; [ "$verdict" -eq 1 ] || verdict=2; }
mkdir scratch evidence
gzip -t evidence.tar.gz || bad "the archive is damaged"
tar -xzf evidence.tar.gz -C evidence || bad "the archive cannot be unpacked"
cd evidence
~~~

## 2. The key

The last part of a verifier key is base64 of a byte 01 and the 32 bytes of an Ed25519 public key; the middle part is the
beginning of a SHA-256 over name and key. The twelve bytes in front are what makes an RFC 8410 public key of the 32.

~~~sh
name=${"$"}{KEY%%+*}
rest=${"$"}{KEY#*+}
id=${"$"}{rest%%+*}
printf '%s' "${"$"}{rest#*+}" | openssl base64 -d -A > ../scratch/key.typed
[ "$({ printf '%s\n' "$name"; cat ../scratch/key.typed; } | sha256sum | cut -c 1-8)" = "$id" ] || bad "the key's own id"
{ printf '\060\052\060\005\006\003\053\145\160\003\041\000'; tail -c 32 ../scratch/key.typed; } > ../scratch/key.der
openssl pkey -pubin -inform DER -in ../scratch/key.der -out ../scratch/key.pem
~~~

## 3. Signatures

A note is a text, an empty line, and lines of signatures: a dash, the key's name, and base64 of the key's id (4 bytes) and the
signature (64 bytes) over the text.

~~~sh
check_note() {
  awk '/^$/ { exit } { print }' "$1" > ../scratch/text
  awk -v name="$name" 'signed && $2 == name { print $3; exit } /^$/ { signed = 1 }' "$1" | openssl base64 -d -A > ../scratch/line
  head -c 4 ../scratch/line | od -An -tx1 | tr -d ' \n' > ../scratch/id
  tail -c 64 ../scratch/line > ../scratch/signature
  if [ "$(cat ../scratch/id)" = "$id" ] &&
    openssl pkeyutl -verify -pubin -inkey ../scratch/key.pem -rawin -in ../scratch/text -sigfile ../scratch/signature > ../scratch/out 2>&1
  then good "the log's key has signed $1"
  else bad "the log's key has not signed $1"
  fi
}
check_note manifest.note
check_note checkpoints/end.note
start=$(jq .start manifest.json)
end=$(jq .end manifest.json)
if [ "$start" -gt 0 ]; then check_note checkpoints/start.note; fi
for note in checkpoints/*.note; do
  [ "$(sed -n 1p "$note")" = "$(jq -r .origin manifest.json)" ] || bad "$note is of another log"
done
[ "$(sed -n 1p manifest.note)" = "$(jq -r .origin manifest.json)" ] || bad "manifest.note is of another log"
[ "$(sed -n 2p checkpoints/end.note)" = "$end" ] || bad "checkpoints/end.note is of another size"
~~~

If you have a checkpoint of this log from before, in a file of your own, hold it against the bundle too: check its signature
in the same way, and compare its root with the one that step 5 gives at its size. **Without one, nobody can see that a log was
cut back to an older genuine state, or written anew and signed again with its own key.**

## 4. Files

manifest.note signs the SHA-256 of manifest.json, which lists all other files; payload files are listed in files of their own.

~~~sh
sum=$(sha256sum < manifest.json | cut -d ' ' -f 1)
if [ "$(sed -n 2p manifest.note)" = "$sum" ]; then good "the manifest is the one that is signed"; else bad "manifest.json"; fi
jq -r '.files | to_entries[] | .value.sha256 + "  " + .key' manifest.json > ../scratch/sums
cat payloads/*.sha256 >> ../scratch/sums 2> ../scratch/none || true
if sha256sum --quiet -c ../scratch/sums; then good "every file is what is listed"; else bad "a file is not what is listed"; fi
{ cut -c 67- ../scratch/sums; echo manifest.json; echo manifest.note; } | sort > ../scratch/listed
find . -type f | cut -c 3- | sort > ../scratch/found
if cmp -s ../scratch/listed ../scratch/found; then good "there are no other files"; else bad "files and lists differ"; fi
jq -cS 'del(.files)' manifest.json > ../scratch/scope
jq -cS . scope.json | cmp -s - ../scratch/scope || bad "scope.json and the manifest differ"
~~~

## 5. The tree

Each record's leaf hash is SHA-256 of a zero byte and the record; a node is SHA-256 of a byte 01 and the two below. The
subtrees of left-edge.json must fold to the root of start.note; with the records pushed on, to that of end.note. This is slow
(some dozen records a second) and needs nothing but sha256sum; any RFC 6962 tool does it too, and so does the Python below.

~~~sh
bytes() {
  printf "$(printf '%s' "$1" | awk '{
    digits = "0123456789abcdef"
    for (i = 1; i < length($0); i += 2)
      printf "\\%03o", (index(digits, substr($0, i, 1)) - 1) * 16 + index(digits, substr($0, i + 1, 1)) - 1
  }')"
}
node() { { printf '\001'; bytes "$1$2"; } | sha256sum | cut -d ' ' -f 1; }
hexadecimal() { openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n'; }

# The stack holds the roots of perfect subtrees, the smallest first, each as level:hash.
stack=
size=$start
level=0
jq -r '.hashes | reverse[]' left-edge.json > ../scratch/edge
while read -r hash; do
  while [ $((size % 2)) -eq 0 ]; do size=$((size / 2)); level=$((level + 1)); done
  stack="$stack $level:$(printf '%s' "$hash" | hexadecimal)"
  size=$((size / 2)); level=$((level + 1))
done < ../scratch/edge

root() {
  all=
  for one in $stack; do
    if [ -z "$all" ]; then all=${"$"}{one#*:}; else all=$(node "${"$"}{one#*:}" "$all"); fi
  done
  printf '%s' "$all"
}
push() {
  level=0
  hash=$1
  set -- $stack
  while [ $# -gt 0 ] && [ "${"$"}{1%%:*}" = "$level" ]; do
    hash=$(node "${"$"}{1#*:}" "$hash")
    level=$((level + 1))
    shift
  done
  stack="$level:$hash $*"
}

if [ "$start" -gt 0 ]; then
  if [ "$(root)" = "$(sed -n 3p checkpoints/start.note | hexadecimal)" ]
  then good "the left edge folds to the root of the $start records before"
  else bad "left-edge.json"
  fi
fi
gzip -dc records/*.jsonl.gz > ../scratch/records || bad "records/ cannot be unpacked"
index=$start
while IFS= read -r record; do
  push "$({ printf '\000'; printf '%s' "$record"; } | sha256sum | cut -d ' ' -f 1)"
  index=$((index + 1))
done < ../scratch/records
if [ "$index" -eq "$end" ]; then good "records $start to $((end - 1))"; else bad "$index records instead of $end"; fi
if [ "$(root)" = "$(sed -n 3p checkpoints/end.note | hexadecimal)" ]
then good "the records have the root of the checkpoint at the end"
else bad "the records do not have the root of the checkpoint at the end"
fi
~~~

The same in Python, for a million records in a few seconds; it must print the second and third line of checkpoints/end.note:

~~~python
import base64, glob, gzip, hashlib, json

def sha256(data):
    return hashlib.sha256(data).digest()

edge = json.load(open("left-edge.json"))
levels = [level for level in range(63, -1, -1) if edge["size"] >> level & 1]
stack = [(level, base64.b64decode(root)) for level, root in zip(levels, edge["hashes"])]
count = edge["size"]
for path in sorted(glob.glob("records/*.jsonl.gz")):
    for record in gzip.open(path):
        level, top = 0, sha256(b"\0" + record[:-1])
        while stack and stack[-1][0] == level:
            top = sha256(b"\1" + stack.pop()[1] + top)
            level += 1
        stack.append((level, top))
        count += 1
root = stack.pop()[1]
while stack:
    root = sha256(b"\1" + stack.pop()[1] + root)
print(count)
print(base64.b64encode(root).decode())
~~~

Where the roots differ, do the same with the roots in checkpoints/history.jsonl: between the last that agrees and the first that
does not is the first bad record.

## 6. The records

Each is written in one way only (RFC 8785). Each process counts its records in src.n, from 0 and without a gap. The last record
is this export's own, and says the same as the manifest.

~~~sh
jq -cS . ../scratch/records > ../scratch/again || true
if cmp -s ../scratch/records ../scratch/again; then good "the records are canonical"; else bad "a record is not canonical"; fi
jq -r '[.src.boot, .src.n] | @tsv' ../scratch/records | awk -v start="$start" '
  !($1 in last) { last[$1] = start == 0 ? -1 : $2 - 1 }
  $2 <= last[$1] { print "repeats " $1 " " $2 }
  $2 > last[$1] + 1 { print "gap " $1 " " last[$1] + 1 " to " $2 - 1 }
  { last[$1] = $2 }' > ../scratch/numbers
if grep repeats ../scratch/numbers; then bad "a number of a process comes twice"; fi
if grep gap ../scratch/numbers; then missing "records of a process are not in the log"; fi
if jq -e 'select(.type == "log.gap")' ../scratch/records; then missing "the log says that evidence was lost"; fi
tail -n 1 ../scratch/records | jq -cS '{f: (.filters // {}), p: .payloads, s: .since, u: .until, t: .type, a: .format,
  b: (.start // 0), r: {iss: .actor.iss, name: .actor.name, sub: .actor.sub}}' > ../scratch/own
jq -cS '{f: .filters, p: .payloads, s: .since, u: .until, t: "audit.exported", a: "bundle", b: .start, r: .requester}' \
  manifest.json | cmp -s - ../scratch/own || bad "the last record is not this export's own, or says other than the manifest"
~~~

jq writes the character U+007F and numbers beyond 15 digits in another way than RFC 8785: a line that differs in that alone is
canonical.

## 7. The payloads

A record says of each payload: c = base64(HMAC-SHA-256(salt, payload)) and len. One that is not here was not asked for, or was
purged (a record retention.purged of its class and time says so), or is missing. Payloads of calls with verdict allow are of
the class default, the others of heldOrBlocked.

~~~sh
jq -rn --slurpfile manifest manifest.json '
  def fits($filters): (.actor.name == ($filters.user // .actor.name)) and
    (.connection == ($filters.connection // .connection)) and (.session == ($filters.session // .session));
  def asked: $manifest[0] as $m | . as $record | $m.payloads and fits($m.filters) and
    ([$m.withheld[] | .filters as $f | $record | fits($f)] | any | not);
  foreach inputs as $record ({calls: {}};
    .out = [] |
    if $record.type == "call.decided" then
      .calls[$record.call] = [$record.time, (if $record.verdict == "allow" then "default" else "heldOrBlocked" end)]
    else . end |
    if ($record.payloads | type) == "object" then
      (.calls[$record.call] // [$record.time, "any"]) as $call |
      .out = [$record.payloads | to_entries[] | [$record.call, .key, .value.c, .value.len, $call[0], $call[1],
        ($record | asked)]]
    else . end |
    if $record.type == "call.answered" then del(.calls[$record.call]) else . end;
    .out[] | @tsv)' ../scratch/records > ../scratch/committed
jq -r 'select(.type == "retention.purged") | [.class, .from, .to] | @tsv' ../scratch/records > ../scratch/purges
here=0
gone=0
while read -r call field c len time class asked; do
  file=payloads/$call/$field
  if [ "$asked" != true ]; then
    [ ! -e "$file" ] || bad "$file was not asked for"
  elif [ -e "$file" ] && [ -e "$file.salt" ]; then
    here=$((here + 1))
    salt=$(hexadecimal < "$file.salt")
    found=$(openssl dgst -sha256 -mac HMAC -macopt "hexkey:$salt" -binary "$file" | openssl base64 -A)
    [ "$found" = "$c" ] && [ "$(wc -c < "$file" | tr -d ' ')" = "$len" ] || bad "$file is not what was committed to"
  elif awk -v time="$time" -v class="$class" '
    (class == "any" || class == $1) && time >= $2 && time < $3 { found = 1 } END { exit !found }' ../scratch/purges
  then gone=$((gone + 1))
  else missing "$file"
  fi
done < ../scratch/committed
good "$here payloads are what the records commit to; $gone were purged"
~~~

Payload files without a salt are of calls that a crash cut (call.interrupted): no record commits to them, only the manifest.

## 8. The verdict

~~~sh
case $verdict in
  0) echo "verified: authentic and complete" ;;
  1) echo "tampered: this is not what the log has signed" ;;
  2) echo "incomplete: authentic, and something is missing" ;;
esac
(exit "$verdict")
~~~

## What a bundle cannot show

- That the log is the newest, or the only one: for that you need a checkpoint from outside (step 3), a witness's cosignature or
  a timestamp in anchors/, checked with a key or certificate that you have from elsewhere.
- That what happened was recorded: the log shows what the server wrote. What is in the log was not changed afterwards.
- What was in payloads that are purged or withheld: of those only the length and the commitment are known.
`;
