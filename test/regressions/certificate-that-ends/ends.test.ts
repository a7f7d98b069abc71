/**
 * A certificate of a target expired, and the VIP went down at that second, although every handshake of a check had seen
 * the date. Now the alarm `certificate_expiring` is raised 14 days before, and ends with the new certificate.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { serveAlarmed } from '../../support/alarmed-server.ts';
import { makeCertificate } from '../../support/certificate.ts';

const DAY_MS = 86_400_000;
const certificate = (days: number): { key: string; cert: string } =>
  makeCertificate({ name: 'www.example.com', to: new Date(Date.now() + days * DAY_MS) });

test.concurrent.each([
  [
    13.5,
    /^The certificate of www\.example\.com\/a, seen at 127\.0\.0\.1:\d+, expires in 13 d, on \d{4}-\d\d-\d\d \d\d:\d\d UTC\. Renew it\.$/,
  ],
  [
    -0.5,
    /^The certificate of www\.example\.com\/a, seen at 127\.0\.0\.1:\d+, (expired 12 h ago|or a certificate of its chain has expired)\. Renew it\.$/,
  ],
])('one that expires in %s days', async (days, words) => {
  const target = createServer(certificate(days)).listen(0, '127.0.0.1');
  await once(target, 'listening');
  const { port } = target.address() as AddressInfo;
  const check = `{ type: tls, port: ${port}, host: www.example.com, insecure: true, watch: false, interval: 200ms, fast: 100ms, timeout: 2s }`;
  try {
    await using alarmed = await serveAlarmed({ check });
    const alarm = await alarmed.alarm('certificate_expiring');
    expect(alarm).toMatchObject({ severity: 'warning', subject: 'www.example.com/a' });
    expect(alarm.message).toMatch(words);
    expect(alarmed.logged('certificate_expiring')).toEqual([`warn: ${alarm.message}`]);

    target.setSecureContext(certificate(90));
    await alarmed.over('certificate_expiring');
  } finally {
    target.close();
  }
});
