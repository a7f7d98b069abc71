/**
 * TSIG (RFC 8945). dig 9.18 made the queries that verify, so our own signing does not judge our reading.
 */
import { describe, expect, test } from 'vitest';
import { canonical, parseName } from '../../../wire/name.ts';
import { readTsig, type Tsig } from '../../../wire/tsig-record.ts';
import {
  appendTsigError,
  createSigner,
  TSIG_ALGORITHMS,
  TSIG_ERROR,
  tsigErrorOctets,
  tsigOctets,
  verifyTsig,
  type TsigAlgorithm,
  type TsigKey,
  type Verdict,
} from '../../../wire/tsig.ts';

const ALGORITHMS = Object.keys(TSIG_ALGORITHMS) as TsigAlgorithm[];
const key = (algorithm: TsigAlgorithm, label = 'second.example.com'): TsigKey => ({
  label,
  name: canonical(parseName(`${label}.`)),
  algorithm,
  secret: Buffer.from('secretsecretsecretsecretsecretse'),
});
/** When dig signed. */
const NOW = 0x6b00e436;

/** `dig -y ALGORITHM:Second.Example.com:... +noedns +norec www.example.com SOA` */
const FROM_DIG: Readonly<Record<TsigAlgorithm | 'hmac-sha256-128', string>> = {
  // By dnspython.
  'hmac-md5':
    '155e0020000100000000000103777777076578616d706c6503636f6d0000060001065365636f6e64c01000fa00ff00000000003a08484d41432d4d4435075349472d414c470352454703494e540000006b00e436012c001046174f3bc2bb9621ef9956ad2bb7855b155e00000000',
  'hmac-sha256':
    '155e0020000100000000000103777777076578616d706c6503636f6d0000060001067365636f6e64076578616d706c6503636f6d0000fa00ff00000000003d0b686d61632d7368613235360000006b00e436012c0020b05a29025ae54ba2fa8b8beb52547e056ce1ad761bd1a98babaa5e4908ba45db155e00000000',
  'hmac-sha1':
    'bfdd0020000100000000000103777777076578616d706c6503636f6d0000060001067365636f6e64076578616d706c6503636f6d0000fa00ff00000000002f09686d61632d736861310000006b00e436012c0014aa2ff17a0c22fe8e155aeb407312a2435862fedbbfdd00000000',
  'hmac-sha224':
    'baab0020000100000000000103777777076578616d706c6503636f6d0000060001067365636f6e64076578616d706c6503636f6d0000fa00ff0000000000390b686d61632d7368613232340000006b00e436012c001c6de2fd68c5848928b117180223b00176afce800d60210d1178c62547baab00000000',
  'hmac-sha384':
    '99500020000100000000000103777777076578616d706c6503636f6d0000060001067365636f6e64076578616d706c6503636f6d0000fa00ff00000000004d0b686d61632d7368613338340000006b00e436012c003096fcab0780c6d734d01ee791e1eccac067df7d09b7ed5be333f91ddf81b773b2a5bbcba16d12f92133b53990d84d3f17995000000000',
  'hmac-sha512':
    '0f530020000100000000000103777777076578616d706c6503636f6d0000060001067365636f6e64076578616d706c6503636f6d0000fa00ff00000000005d0b686d61632d7368613531320000006b00e436012c0040b9ffe3084f07f0667233a3b7a96feb4d9b5ebcadce9f241c21f8d2424f0f37d5feba80810a736d88c59242453655fa8576d3d3f3980f27e3ecaa803562fd5b340f5300000000',
  'hmac-sha256-128':
    'e42f0020000100000000000103777777076578616d706c6503636f6d0000060001067365636f6e64076578616d706c6503636f6d0000fa00ff00000000002d0b686d61632d7368613235360000006b00e436012c001031bfb6e54b11ce407ea310aa000a37ade42f00000000',
};
const fromDig = (algorithm: keyof typeof FROM_DIG): Buffer => Buffer.from(FROM_DIG[algorithm], 'hex');

function read(message: Uint8Array): Tsig {
  const tsig = readTsig(message);
  if (typeof tsig === 'string') throw new Error(`no TSIG: ${tsig}`);
  return tsig;
}

/** A verdict as a word. */
function word(verdict: Verdict): string {
  if (verdict.kind !== 'error') return verdict.kind;
  const name = Object.entries(TSIG_ERROR).find(([, error]) => error === verdict.error)?.[0] ?? '';
  return verdict.key ? `${name}, signed` : name;
}

describe('a signature by dig verifies', () => {
  test.each(ALGORITHMS)('%s', (algorithm) => {
    const message = fromDig(algorithm);
    expect(word(verifyTsig(message, read(message), [key(algorithm)], NOW))).toBe('valid');
    // This does not change the message.
    expect(message).toEqual(fromDig(algorithm));
  });
});

describe('what is wrong with a signature, in the order of RFC 8945 5.2', () => {
  const signed = fromDig('hmac-sha256');
  const changed = (at: number): Buffer => {
    const message = Buffer.from(signed);
    message[at] = (message[at] ?? 0) ^ 1;
    return message;
  };
  const mine = key('hmac-sha256');
  const last = signed.length;
  test.each<[string, Buffer, readonly TsigKey[], number, string]>([
    ['an unknown key', signed, [], NOW, 'BADKEY'],
    ['a key of another name', signed, [key('hmac-sha256', 'third.example.com')], NOW, 'BADKEY'],
    ['a key of another algorithm', signed, [key('hmac-sha512')], NOW, 'BADKEY'],
    ['another secret', signed, [{ ...mine, secret: Buffer.from('x') }], NOW, 'BADSIG'],
    ['another identifier', changed(last - 6), [mine], NOW, 'BADSIG'],
    ['another flag', changed(3), [mine], NOW, 'BADSIG'],
    ['another question', changed(14), [mine], NOW, 'BADSIG'],
    ['another time', changed(last - 6 - 32 - 2 - 2 - 1), [mine], NOW, 'BADSIG'],
    ['another MAC', changed(last - 7), [mine], NOW, 'BADSIG'],
    ['another secret, and too late', signed, [{ ...mine, secret: Buffer.from('x') }], NOW + 9999, 'BADSIG'],
    ['as late as allowed', signed, [mine], NOW + 300, 'valid'],
    ['too late', signed, [mine], NOW + 301, 'BADTIME, signed'],
    ['too early', signed, [mine], NOW - 301, 'BADTIME, signed'],
    ['half a MAC', fromDig('hmac-sha256-128'), [mine], NOW, 'BADTRUNC, signed'],
  ])('%s', (_, message, keys, now, expected) => {
    expect(word(verifyTsig(message, read(message), keys, now))).toBe(expected);
  });

  test('the identifier of the message itself may differ: a forwarder changes it', () => {
    const message = changed(0);
    expect(word(verifyTsig(message, read(message), [mine], NOW))).toBe('valid');
  });

  test.each([0, 1, 9, 15, 33])('a MAC of %i octets', (octets) => {
    const tsig = read(signed);
    const verdict = verifyTsig(signed, { ...tsig, mac: new Uint8Array(octets) }, [mine], NOW);
    expect(word(verdict)).toBe(octets === 0 ? 'BADSIG' : 'malformed');
  });
});

describe('where a TSIG record may be (RFC 8945 5.1)', () => {
  const signed = fromDig('hmac-sha256');
  const tsig = signed.subarray(33);
  const build = (counts: readonly number[], ...records: readonly Uint8Array[]): Buffer => {
    const head = Buffer.from(signed.subarray(0, 33));
    counts.forEach((count, index) => head.writeUInt16BE(count, 6 + index * 2));
    return Buffer.concat([head, ...records]);
  };
  const opt = Buffer.of(0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0);
  const longer = Buffer.concat([tsig, Buffer.of(0)]);
  longer.writeUInt16BE(0x3e, longer.indexOf('00ff00000000', 0, 'hex') + 6);
  test.each<[string, Buffer, string]>([
    ['last', build([0, 0, 2], opt, tsig), 'read'],
    ['before OPT', build([0, 0, 2], tsig, opt), 'malformed'],
    ['twice', build([0, 0, 2], tsig, tsig), 'malformed'],
    ['in the answer section', build([1, 0, 0], tsig), 'malformed'],
    ['in the authority section', build([0, 1, 0], tsig), 'malformed'],
    ['with additional octets', build([0, 0, 1], longer), 'malformed'],
    ['cut', build([0, 0, 1], tsig.subarray(0, 60)), 'none'],
    ['announced, but missing', build([0, 0, 1]), 'none'],
    ['missing', build([0, 0, 0]), 'none'],
  ])('%s', (_, message, expected) => {
    const found = readTsig(message);
    expect(typeof found === 'string' ? found : 'read').toBe(expected);
  });

  test('no length of a message causes an exception', () => {
    for (let length = 12; length < signed.length; length++) {
      expect(typeof readTsig(signed.subarray(0, length))).toBe('string');
    }
  });
});

describe('a response of several messages', () => {
  const request = fromDig('hmac-sha384');
  const mine = key('hmac-sha384');
  const { mac } = read(request);
  const message = (id: number): Buffer => {
    const out = Buffer.alloc(12 + tsigOctets(mine));
    out.writeUInt16BE(id);
    return out;
  };

  test('the first verifies against the request, and has the announced room', () => {
    const first = message(7);
    expect(createSigner(mine, () => NOW, mac).sign(first, 12)).toBe(first.length);
    expect(word(verifyTsig(first, read(first), [mine], NOW, mac))).toBe('valid');
    expect(word(verifyTsig(first, read(first), [mine], NOW))).toBe('BADSIG');
  });

  test('each has a separate MAC, over the one before', () => {
    const signer = createSigner(mine, () => NOW, mac);
    const macs = [1, 2, 3].map(() => {
      const out = message(7);
      signer.sign(out, 12);
      expect(read(out).mac).toEqual(Uint8Array.from(signer.mac()));
      return Buffer.from(signer.mac()).toString('hex');
    });
    expect(new Set(macs).size).toBe(3);
  });
});

describe('an error response (RFC 8945 5.3.2)', () => {
  const request = fromDig('hmac-sha256');
  const mine = key('hmac-sha256');
  const tsig = read(request);
  const rejected = (error: number, signer: TsigKey | undefined): Buffer => {
    const out = Buffer.alloc(12 + tsigErrorOctets(tsig));
    return out.subarray(0, appendTsigError(out, 12, tsig, error, signer, NOW + 1000));
  };

  test.each([TSIG_ERROR.BADKEY, TSIG_ERROR.BADSIG])('%i is not signed', (error) => {
    const found = read(rejected(error, undefined));
    expect(found).toMatchObject({ error, mac: new Uint8Array(0), other: new Uint8Array(0) });
    expect(found.name).toEqual(mine.name);
  });

  test("BADTIME is signed, with the client's time and in addition the server's", () => {
    const message = rejected(TSIG_ERROR.BADTIME, mine);
    const found = read(message);
    expect(found).toMatchObject({ error: TSIG_ERROR.BADTIME, timeSigned: NOW });
    expect(Buffer.from(found.other).readUIntBE(0, 6)).toBe(NOW + 1000);
    expect(word(verifyTsig(message, found, [mine], NOW, tsig.mac))).toBe('valid');
  });

  test('BADTRUNC is signed, at the time of the server', () => {
    const message = rejected(TSIG_ERROR.BADTRUNC, mine);
    expect(word(verifyTsig(message, read(message), [mine], NOW + 1000, tsig.mac))).toBe('valid');
  });
});
