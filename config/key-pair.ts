/**
 * Reads a certificate and its private key from PEM files, and checks all that can be checked without a client: a server
 * can start with a pair that passes.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Place, Report } from './diagnostics.ts';
import { judgeKeyFile } from './file-rights.ts';
import { MAX_PEM_OCTETS } from './limits.ts';
import { faultOf, readRegularFile } from './read-file.ts';

export type CheckedKeyPair = {
  /** PEM: the server's certificate first, then its chain. */
  readonly cert: string;
  readonly key: string;
  /** Of the certificate, absolute. */
  readonly path: string;
  /** Of the key, absolute. */
  readonly keyPath: string;
  /** When the server's certificate expires, in milliseconds since 1970. */
  readonly expiresAtMs: number;
};

/** A path and its place in the file. */
export type WrittenPath = {
  readonly path: string;
  /** The text that messages show: as written in the file, never the value of a variable. */
  readonly shown: string;
  readonly place: Place;
};

const CERTIFICATES = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END/g;
/** Share of the validity. Renewal is usual with a third left; less than a tenth means that it failed. */
const LATE = 0.1;

/**
 * Reads and checks a pair. Returns undefined for one that cannot be used, which it reports. `nowMs` is the time for
 * expiry. `inUse` is the server's current pair: it is kept if the files are the same and this user may not read them,
 * as after a start as root.
 */
export function readKeyPair(
  files: { readonly cert: WrittenPath; readonly key: WrittenPath },
  baseDir: string,
  nowMs: number,
  report: Report,
  inUse?: CheckedKeyPair,
): CheckedKeyPair | undefined {
  const path = resolve(baseDir, files.cert.path);
  const keyPath = resolve(baseDir, files.key.path);
  const kept = inUse?.path === path && inUse.keyPath === keyPath ? inUse : undefined;
  const cert = readPem(files.cert, 'certificate', baseDir, report, kept);
  const key = cert === KEPT ? undefined : readPem(files.key, 'key', baseDir, report, kept);
  if (kept && (cert === KEPT || key === KEPT)) {
    warnOfTimes(new X509Certificate(kept.cert), files.cert, nowMs, report);
    return kept;
  }
  if (cert === KEPT || key === KEPT) return undefined;
  const chain = cert === undefined ? undefined : parseChain(cert, files.cert, report);
  const privateKey = key === undefined ? undefined : parseKey(key, files.key, report);
  const own = chain?.[0];
  if (cert === undefined || key === undefined || !own || !privateKey) return undefined;
  if (!own.checkPrivateKey(privateKey)) {
    const message = `the key ${files.key.shown} does not belong to the certificate ${files.cert.shown}`;
    const other = chain.findIndex((each) => each.checkPrivateKey(privateKey));
    const hint =
      other > 0
        ? `it belongs to certificate ${other + 1} in that file: put that one first`
        : 'use the key that the certificate was requested with';
    report.error('PH063', message, files.key.place, hint);
    return undefined;
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const message = `TLS cannot use ${files.cert.shown} with ${files.key.shown}: ${reasonOf(error)}`;
    report.error('PH064', message, files.cert.place, 'such as an RSA key of 2048 bits, or an EC key on P-256');
    return undefined;
  }
  warnOfTimes(own, files.cert, nowMs, report);
  judgeKeyFile(keyPath, files.key.place, report);
  return { cert, key, path, keyPath, expiresAtMs: own.validToDate.getTime() };
}

/** The certificates of an authority, in PEM. Undefined for a file without any, which is reported. */
export function readAuthority(file: WrittenPath, baseDir: string, report: Report): string | undefined {
  const pem = readPem(file, 'certificate', baseDir, report, undefined);
  return pem === undefined || pem === KEPT || !parseChain(pem, file, report) ? undefined : pem;
}

/** Returned for a file that this user may not read. */
const KEPT = Symbol('kept');

function readPem(
  { path, shown, place }: WrittenPath,
  what: string,
  baseDir: string,
  report: Report,
  kept: CheckedKeyPair | undefined,
): string | typeof KEPT | undefined {
  const absolute = resolve(baseDir, path);
  try {
    const { octets } = readRegularFile(absolute, { maxOctets: MAX_PEM_OCTETS });
    return octets.toString('latin1');
  } catch (error) {
    const { code, why, hint = `looked at ${absolute}` } = faultOf(error);
    if (kept && (code === 'EACCES' || code === 'EPERM')) {
      const message = `the ${what} ${shown} cannot be read: ${why}. The pair that was loaded before stays in use`;
      report.warning('PH389', message, place, KEPT_HINT);
      return KEPT;
    }
    report.error('PH060', `the ${what} ${shown} cannot be read: ${why}`, place, hint);
    return undefined;
  }
}

const KEPT_HINT =
  'let a group of the user that Pharos runs as read it: chgrp ssl-cert, chmod 640; or restart the server as root';

/** At least one certificate, in the file's order. */
function parseChain(text: string, { shown, place }: WrittenPath, report: Report): X509Certificate[] | undefined {
  const hint = 'a PEM file: the certificate of the server first, then those that lead to its root';
  const parts = text.match(CERTIFICATES);
  if (!parts) {
    report.error('PH061', `${shown} contains no certificate`, place, hint);
    return undefined;
  }
  try {
    return parts.map((part) => new X509Certificate(`${part} CERTIFICATE-----\n`));
  } catch (error) {
    report.error('PH061', `a certificate in ${shown} cannot be read: ${reasonOf(error)}`, place, hint);
    return undefined;
  }
}

function parseKey(text: string, { shown, place }: WrittenPath, report: Report): KeyObject | undefined {
  if (/-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    const hint = 'a server cannot ask for a passphrase: "openssl pkey" writes the key without one';
    report.error('PH062', `the key ${shown} is encrypted`, place, hint);
    return undefined;
  }
  try {
    return createPrivateKey(text);
  } catch {
    report.error('PH062', `${shown} contains no private key`, place, 'a PEM file that begins with BEGIN PRIVATE KEY');
    return undefined;
  }
}

/** RFC 9539 4.1: resolvers do not verify the certificate of an authoritative server, so these are warnings. */
function warnOfTimes(own: X509Certificate, { shown, place }: WrittenPath, nowMs: number, report: Report): void {
  const from = own.validFromDate.getTime();
  const to = own.validToDate.getTime();
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const warn = (what: string): void => {
    const hint = 'replace it and reload; clients that verify certificates refuse this one';
    report.warning('PH065', `the certificate ${shown} ${what}`, place, hint);
  };
  if (nowMs > to) warn(`expired on ${day(to)}`);
  else if (nowMs < from) warn(`is not valid before ${day(from)}`);
  else if (to - nowMs < (to - from) * LATE) {
    const hint = 'replace it and reload';
    report.warning('PH065', `the certificate ${shown} expires on ${day(to)}`, place, hint);
  }
}

/** OpenSSL's reason, the last part of `error:0A00018F:SSL routines::ee key too small`. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.slice(text.lastIndexOf(':') + 1).trim();
}
