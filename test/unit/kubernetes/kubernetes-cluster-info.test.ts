import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ClusterAgreement } from '../../../src/kubernetes/cluster-agreement.ts';
import { KubernetesClusterInfo } from '../../../src/kubernetes/kubernetes-cluster-info.ts';
import { PromMeter } from '../../../src/metrics/prom-meter.ts';
import { NodeClock } from '../../../src/runtime/node-clock.ts';
import { NodeRandom } from '../../../src/runtime/node-random.ts';
import { silentLog } from '../../support/silent-log.ts';
import { MockApi } from '../../support/mock-kubernetes-api.ts';

let api: MockApi;
let meter: PromMeter;
let info: KubernetesClusterInfo;
beforeEach(async () => {
  api = await MockApi.start();
  meter = new PromMeter({ version: '0', revision: '0', nodeVersion: '0' });
  info = await KubernetesClusterInfo.load(
    { clock: new NodeClock(), meter }, { namespace: 'store', statefulSet: 'dht', secret: 'dht-cluster', callTimeoutMs: 300 },
    (config) => { config.loadFromClusterAndUser({ name: 'mock', server: api.url, skipTLSVerify: true }, { name: 'node' }); },
  );
});
afterEach(() => api.stop());

describe('how many nodes are wanted', () => {
  test('is read afresh, from the spec', async () => {
    expect(await info.desired()).toEqual({ kind: 'known', uid: 'u1', replicas: 3, firstOrdinal: 0, isDeleting: false });
    api.statefulSet = { metadata: { uid: 'u1', deletionTimestamp: '2026-01-01T00:00:00Z' }, spec: { replicas: 5, ordinals: { start: 2 } }, status: { replicas: 9 } };
    expect(await info.desired()).toEqual({ kind: 'known', uid: 'u1', replicas: 5, firstOrdinal: 2, isDeleting: true });
  });

  test('is known of a moment: the last at which the API said how things stand', async () => {
    const lastSync = async (): Promise<number> => Number(/^dht_kubernetes_last_sync_timestamp_seconds\{resource="statefulsets"\} (\S+)$/m.exec(await meter.text())?.[1]);
    expect(await lastSync()).toBe(0);
    const begin = Date.now() / 1000;
    await info.desired();
    const synced = await lastSync();
    expect(synced).toBeGreaterThanOrEqual(begin - 0.001);
    api.fault = 500;
    await info.desired();
    expect(await lastSync()).toBe(synced);
  });

  test('is "gone" only for a 404', async () => {
    api.statefulSet = null;
    expect(await info.desired()).toEqual({ kind: 'gone' });
  });

  test.each([401, 403, 429, 500, 503])('is unknown when the API answers %d', async (status) => {
    api.fault = status;
    expect((await info.desired()).kind).toBe('unknown');
  });

  test('is unknown when the API is silent, within the time-out, and counted so', async () => {
    api.fault = 'silent';
    const begin = performance.now();
    expect((await info.desired()).kind).toBe('unknown');
    expect(performance.now() - begin).toBeLessThan(2000);
    expect(await meter.text()).toContain('dht_kubernetes_requests_total{resource="statefulsets",verb="get",code="timeout"} 1');
  });

  test('is unknown when nobody listens, or the answer makes no sense', async () => {
    api.statefulSet = { metadata: {}, spec: {} };
    expect((await info.desired()).kind).toBe('unknown');
    await api.stop();
    expect((await info.desired()).kind).toBe('unknown');
    api = await MockApi.start();
  });
});

describe('agreement through the Secret', () => {
  const agreement = (): ClusterAgreement => new ClusterAgreement({ info, clock: new NodeClock(), random: new NodeRandom(), log: silentLog });

  test('the first fills the secret, the others read it', async () => {
    const [a, b, c] = await Promise.all([agreement().secret(), agreement().secret(), agreement().secret()]);
    expect(a).toMatch(/^[0-9a-f]{64}$/);
    expect(b).toBe(a);
    expect(c).toBe(a);
  });

  test('who loses the race takes what the winner wrote, and keeps the other entry', async () => {
    api.write({ secret: 'the one that an operator chose, long' });
    api.beforeUpdate = () => { api.write({ clusterId: 'first' }); };
    expect(await agreement().clusterId('second')).toBe('first');
    expect(await agreement().secret()).toBe('the one that an operator chose, long');
  });

  test('waits for the API as long as it takes', async () => {
    api.fault = 503;
    const asked = agreement().secret();
    await new Promise((resolve) => { setTimeout(resolve, 400); });
    expect(api.requests.length).toBeGreaterThan(0);
    api.fault = null;
    api.write({ secret: 'there at last, after some failures' });
    expect(await asked).toBe('there at last, after some failures');
  });
});
