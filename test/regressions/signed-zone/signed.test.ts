/**
 * A zone that was already signed was served without its signatures: with a DS in the parent, validating resolvers
 * returned SERVFAIL for all of it. And NSEC3 owners were names (RFC 5155 7.2.8).
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const HEAD = '@ 300 SOA ns1 h 1 7200 3600 1209600 60\n@ NS ns1\nns1 A 192.0.2.53\n';
const RRSIG = 'RRSIG A 13 3 300 20300101000000 20200101000000 55648 corp.example. AA==';
const KEY = '257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==';
const DIGEST = '60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A';

test.each([
  [`ns1 ${RRSIG}`, 'error PH366', '1 RRSIG'],
  [`ns1 ${RRSIG}\n@ ${RRSIG}\n@ NSEC ns1 A NS`, 'error PH366', '2 RRSIG, 1 NSEC'],
  ['0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG', 'error PH366', '1 NSEC3'],
  ['@ NSEC3PARAM 1 0 0 -', 'error PH366', '1 NSEC3PARAM'],
  [`@ DNSKEY ${KEY}`, 'warning PH367', '1 DNSKEY'],
  [`@ CDS ${DIGEST}\n@ CDNSKEY ${KEY}`, 'warning PH367', '1 CDS, 1 CDNSKEY'],
])('%j', (text, expected, counted) => {
  const files = { ...NO_GEOGRAPHY, 'zones/z.yaml': 'zone: corp.example\ninclude: [corp.db]\n' };
  const mistakes = mistakesOf({ ...files, 'zones/corp.db': `${HEAD}${text}\n` });
  expect(mistakes).toEqual([expect.stringContaining(`zones/corp.db:4 ${expected}`)]);
  expect(mistakes[0]).toContain(`(${counted})`);
});
