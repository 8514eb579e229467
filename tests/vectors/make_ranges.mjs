// Writes ranges.json: what npm's own `semver` says about ranges, so that ours can be held to it.
//
//   mkdir /somewhere && cd /somewhere && npm install semver@7
//   node THIS_FILE /somewhere/node_modules/semver > ranges.json
//
// Left out knowingly, since ours refuses what npm takes: build metadata (it has no order), "" and "||" with an empty side
// (a forgotten range should not mean "any"), "~>1" and other spellings that npm keeps for old files only where ours agrees,
// tags such as "latest", and numbers with leading zeros. `includePrerelease` is false throughout, as in `npm install`.

import { createRequire } from "node:module";

const semver = createRequire(import.meta.url)(process.argv[2]);
const { version: npmSemver } = createRequire(import.meta.url)(`${process.argv[2]}/package.json`);

const VERSIONS = [
  "0.0.0", "0.0.1-rc.1", "0.0.1", "0.0.2", "0.1.0", "0.1.1-beta", "0.1.1", "0.1.2", "0.2.0", "0.2.3",
  "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.1.0", "1.2.0-rc.1", "1.2.0", "1.2.2", "1.2.3-alpha.1",
  "1.2.3-beta.2", "1.2.3-beta.11", "1.2.3", "1.2.4-0", "1.2.4", "1.3.0-0", "1.3.0", "1.9.9", "1.10.0",
  "2.0.0-0", "2.0.0-alpha", "2.0.0", "2.3.0", "2.3.1-rc.1", "2.3.1", "2.4.0", "2.9.9", "3.0.0-rc.1", "3.0.0", "3.4.5", "10.0.0",
];

const PARTIALS = ["0", "0.0", "0.1", "0.0.0", "0.0.1", "0.1.1", "0.1.1-beta", "1", "1.x", "1.X", "1.*", "1.x.x", "1.2", "1.2.x", "1.2.*",
  "1.2.3", "v1.2.3", "1.2.3-beta.2", "1.2.3-alpha.1", "2", "2.3", "2.3.1", "2.3.1-rc.1", "2.0.0-0", "x", "X", "*", "x.x", "*.*.*", "1.0.0", "1.0.0-rc.1"];
const OPERATORS = ["", "=", "^", "~", "~>", ">", ">=", "<", "<="];

const RANGES = [
  ...OPERATORS.flatMap((operator) => PARTIALS.map((partial) => operator + partial)),
  "1.2.3 - 2.3.1", "1.2 - 2.3", "1 - 2", "1.2.3 - 2", "1.2.3 - 2.3", "0 - 0", "1.x - 2.x", "1.2.3-beta.2 - 2.0.0-0", "* - 2", "1 - *", "1.2.3 - 1.2.3",
  "v1.2.3 - v2.3.1", " 1.2.3  -  2.3.1 ", "2.3.1 - 1.2.3",
  ">=1.2.3 <2.0.0", ">=1.2 <2", ">1.2.3 <=2.3.1", ">=1.2.3-beta.2 <2", ">=1.2.3-beta.2 <1.2.3", ">1 <3 <2.3.1", "1.x 1.2.x", "^1.2 ~1.2.3", ">2 <1",
  "^1.2.3 || ^2.3", "1.x || 2.x", "~0.1 || ~1.2 || 3", "1.2.3||2.3.1", "  ^1 ||  ^2  ", "<1.0.0 || >=2.3.1 <3", "1.2.3-beta.2 || 2.x", "1 - 2 || 3.4.5",
  ">= 1.2.3", "> 1.2.3 < 2.0.0", "~ 1.2", "^ 1.2", "<= 2 || > 3", ">=  1.2.3   <  2", "=  1.2.3", "^0.0.x", "^0.x", "~0.x", "^0.0", "~0.0.1",
  ">=1.2.3 <1.2.3-beta.11", "^2.0.0-0", "<2.0.0-0", "<2", "<=1.2", ">=x", ">x", "<x", "<=x", "^x", "~x", "^*", "^1.x", "~1.x", "~1.2.x", "^1.2.x", "<1.x", ">1.x",
  ">=1.x", "<=1.x", ">1.2.x", "<1.2.x", ">=0", ">0", "<0", "<0.0.0", "<0.0.0-0", "^0.1.1-beta", "~0.1.1-beta", "^0.0.1-rc.1", "~1.2.3-beta.2", ">1.2.3-beta.2", "<1.2.3-beta.11",
];

const INVALID = [
  "hello", "1.2.3.4", "^", "~", ">", ">=", "1.2.-3", "a.b.c", "^a", "1.2.3-", "1.2.3-beta..2", "^^1.2", "~~1", ">>1", "=>1", "<>1", "!1", "!=1.2.3",
  "1.2.3 -", "- 1.2.3", "1.2.3 - 2.3.1 - 3.0.0", "1.2.3 & 2", "1.2.3 | 2", "1,2", ">=1.2.3, <2", "(1.2.3)", "[1,2)", "1.2.3 and 2", "latest1", "^1.2.3.4",
  "9007199254740992.0.0", "^9007199254740992", "1.2.3-beta_2", "1.2.3-ü", "٣.٣.٣", "-1.2.3", "1. 2.3", "1 .2", "^1.2.3-01",
];

const admitted = (range) => VERSIONS.filter((version) => semver.satisfies(version, range));

for (const range of RANGES) if (semver.validRange(range) === null) throw new Error(`npm refuses ${range}`);
const odd = INVALID.filter((range) => semver.validRange(range) !== null);
if (odd.length > 0) throw new Error(`npm takes ${odd.join(" | ")}`);

const ranges = [...new Set(RANGES)].map((range) => ({ range, admits: admitted(range) }));
const lines = ranges.map((range) => `  ${JSON.stringify(range)}`).join(",\n");
console.log(`{
 "about": "What npm's semver ${npmSemver} says, made by make_ranges.mjs: of these versions, each range admits exactly those it lists; invalid ones are refused.",
 "versions": ${JSON.stringify(VERSIONS)},
 "ranges": [\n${lines}\n ],
 "invalid": ${JSON.stringify(INVALID)}
}`);
