/**
 * `pharos import k8gb`: the resources of several clusters.
 */
import { describe, expect, test } from 'vitest';
import type { Files } from '../../../support/pharos.ts';
import { expectLines, geographyOf, importFiles, importValid, serverOf } from './run-import.ts';

/** A cluster: `kubectl get gslb,ingress,dnsendpoint -A -o yaml`. */
function cluster(tag: string, address: string, more = ''): string {
  const gslb = (name: string, spec: string, status: string): string => `
  - apiVersion: k8gb.io/v1beta1
    kind: Gslb
    metadata: { name: ${name}, namespace: shop }
    spec: ${spec}
    status: { geoTag: ${tag}, ${status} }`;
  const rules = (host: string): string => `rules: [ { host: ${host}, http: { paths: [ { path: / } ] } } ]`;
  return `apiVersion: v1
kind: List
items:${gslb(
    'turns',
    `{ ingress: { ${rules('turns.cloud.example.com')}, tls: [ { hosts: [ turns.cloud.example.com ] } ] }, strategy: { type: roundRobin, dnsTtlSeconds: 5, splitBrainThresholdSeconds: 300, weight: { eu: 80%, us: 20% } } }`,
    `loadBalancer: { exposedIps: [ ${address} ] }`,
  )}${gslb(
    'first',
    '{ resourceRef: { apiVersion: networking.k8s.io/v1, kind: Ingress, matchLabels: { app: first } }, strategy: { type: failover, primaryGeoTag: us } }',
    'healthyRecords: {}',
  )}${gslb(
    'near',
    '{ resourceRef: { apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, name: near }, strategy: { type: geoip } }',
    `loadBalancer: { exposedIps: [ ${address} ] }`,
  )}
  - apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: { name: first-ingress, namespace: shop, labels: { app: first } }
    spec: { ${rules('first.cloud.example.com')} }
    status: { loadBalancer: { ingress: [ { ip: ${address} } ] } }
  - apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: { name: near, namespace: shop }
    spec: { hostnames: [ near.cloud.example.com ] }
  - apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: { name: old, namespace: shop, annotations: { k8gb.io/strategy: roundRobin, k8gb.io/dns-ttl-seconds: "7" } }
    spec: { ${rules('old.cloud.example.com')} }
  - apiVersion: externaldns.k8s.io/v1alpha1
    kind: DNSEndpoint
    metadata: { name: old, namespace: shop }
    spec: { endpoints: [ { dnsName: localtargets-old.cloud.example.com, targets: [ ${address} ] }, { dnsName: old.cloud.example.com, targets: [ 192.0.2.250 ] } ] }
${more}`;
}

const FILES: Files = {
  'k8s/eu.yaml': cluster('eu', '203.0.113.1'),
  'k8s/us.yaml': cluster('us', '198.51.100.1'),
};
const ZONE = { zone: 'cloud.example.com', nameServers: ['ns.example.net.'] };
const { out, notes } = importValid('k8gb', FILES, 'k8s', ZONE);
const GEOGRAPHY = geographyOf({ '192.0.2.0/24': 'DE' });
const { addresses, set, ask } = serverOf(out, GEOGRAPHY);
const BOTH = ['198.51.100.1', '203.0.113.1'];

describe('strategies', () => {
  test('roundRobin: all clusters, by weight', () => {
    expect(addresses('turns.cloud.example.com').toSorted()).toEqual(BOTH);
    expectLines(out, [
      '    ttl: 5',
      '    check: https',
      '      eu: { region: eu, A: 203.0.113.1, weight: 80 }',
      '    steer: [ weighted ]',
      '    answers: all',
    ]);
    set('turns.cloud.example.com/eu', { probed: 2 });
    expect(addresses('turns.cloud.example.com')).toEqual(['198.51.100.1']);
  });

  test('failover: the primary geo tag first; an Ingress by its labels', () => {
    expect(addresses('first.cloud.example.com')).toEqual(['198.51.100.1']);
    set('first.cloud.example.com/us', { probed: 2 });
    expect(addresses('first.cloud.example.com')).toEqual(['203.0.113.1']);
  });

  test('geoip is nearest; the hosts of an HTTPRoute', () => {
    expect(out).toContain('    steer: [ nearest, all ]');
    expect(notes).toContain(
      'changed near: geoip becomes nearest: give each region "at", or use geo with the networks of your database',
    );
  });

  test('annotations of an Ingress; the local targets of a DNSEndpoint', () => {
    expect(addresses('old.cloud.example.com').toSorted()).toEqual(BOTH);
    expect(ask('old.cloud.example.com', 1).answer[0]).toMatchObject({ ttl: 7 });
  });
});

test('what differs is noted', () => {
  expect(notes).toEqual(
    expect.arrayContaining([
      'dropped turns: splitBrainThresholdSeconds: a fleet of Pharos votes',
      expect.stringMatching(/^changed turns.*: k8gb counts ready pods: here a check asks for \/ with its host/),
    ]),
  );
});

test('a missing address, primary or resource is noted, and so is another strategy', () => {
  const one = `kind: Gslb
metadata: { name: a, namespace: n }
spec: { ingress: { rules: [ { host: a.cloud.example.com } ] }, strategy: { type: failover, primaryGeoTag: za } }
status: { geoTag: eu, loadBalancer: { exposedIps: [ 203.0.113.1 ] } }
---
kind: Gslb
metadata: { name: b, namespace: n }
spec: { resourceRef: { kind: Ingress, name: gone }, strategy: { type: latency } }
status: { geoTag: eu, healthyRecords: { b.cloud.example.com: [ 203.0.113.1 ] } }
`;
  const result = importValid('k8gb', { 'eu.yaml': one }, 'eu.yaml', ZONE);
  expect(result.notes).toEqual(
    expect.arrayContaining([
      'changed a: the primary geo tag za is of no cluster in these files: put it first',
      expect.stringMatching(/^changed the Gslb b refers to a resource that is not in .*eu\.yaml/),
      'dropped b: the cluster eu: its addresses are not in these files',
      'dropped b: the strategy latency has no equivalent',
    ]),
  );
});

test('the zone must be stated; other files are refused', () => {
  expect(importFiles('k8gb', FILES, 'k8s').error).toMatch(/PH502: the resources do not state the name of the zone/);
  expect(importFiles('k8gb', { 'a.yaml': 'kind: Pod\n' }, 'a.yaml', ZONE).error).toMatch(
    /PH501: .* has no resource of the kind Gslb/,
  );
});
