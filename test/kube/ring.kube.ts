/**
 * The chart on a real cluster, as operators treat it: install, scale, restart, kill, lose a volume, drain, cut, uninstall. Every
 * object stored at the beginning, and everything a never-ending client got acknowledged, is read back after each step.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { NodeView, RingView } from '../../src/node/node-service.ts';
import { lackedBytesAtMost, type Sized } from '../support/lacked-bytes.ts';
import { KubeClient, command, helm, install, isCommandSet, uninstall, until, whyNot } from './kube-client.ts';
import { digestOf, http, Load, persist } from '../support/persistent-load.ts';
import { adminJson, RingWatch } from './ring-watch.ts';

const RELEASE = 'dht';
const READY_MS = 120_000;
/** A pod may use this long to end in a scale-down: drain delay, hand-over, receipts. */
const END_MS = 180_000;
/** Reaping takes its delay and two reads a minute apart. */
const ORPHAN_MS = 300_000;
/** The load's own objects move too, and what a broken connection cut off is pulled again; the simulator holds moves to the byte. */
const MOVED_RATIO_MAX = 1.5;
const OBJECTS = 120;

const reason = whyNot();
const onCluster = reason === null ? describe : describe.skip;
if (reason !== null) {
  console.warn(`skipped, because ${reason}`);
  test('the tests of the chart on a cluster are skipped', () => { expect(reason).not.toBeNull(); });
}

onCluster('a ring on Kubernetes', () => {
  const client = new KubeClient(`dht-test-${randomBytes(3).toString('hex')}`);
  const objects = new Map<string, string>();
  const sizes: Sized[] = [];
  let url = '';

  beforeAll(async () => { await client.create(); });
  afterAll(async () => { await client.remove(); });

  async function store(): Promise<void> {
    for (let i = 0; i < OBJECTS; i++) {
      const body = randomBytes(i % 10 === 0 ? 2_000_000 : 20_000 + 500 * i);
      const name = `kept/${i}`;
      const { status } = await persist('PUT', `${url}/v1/objects/${name}`, body);
      if (status !== 201) throw new Error(`PUT ${name}: ${status}`);
      objects.set(name, digestOf(body));
      sizes.push({ name, size: body.length });
    }
  }

  /** Names that don't read back as they were acknowledged. */
  async function lost(from: string, expected: ReadonlyMap<string, string> = objects): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const [name, digest] of expected) {
      const answer = await persist('GET', `${from}/v1/objects/${name}`, null, 30_000);
      if (answer.status !== 200 || digestOf(answer.body) !== digest) wrong.push(`${name}: ${answer.status}`);
    }
    return wrong;
  }

  async function settled(members: number, deadlineMs = END_MS): Promise<RingView> {
    let view: RingView | null = null;
    await until(async () => {
      const pods = await client.pods(RELEASE);
      const rings = await Promise.all(pods.filter(({ isEnding }) => !isEnding).map(({ ip }) => adminJson<RingView>(ip, '/v1/ring')));
      view = rings[0] ?? null;
      return rings.length >= members && rings.every((ring) => ring.phase === 'stable' && ring.members.length === members && ring.epoch === rings[0]?.epoch && ring.arcs.unavailable === 0);
    }, deadlineMs, `all pods agree on ${members} members`);
    return view as unknown as RingView;
  }

  /** Does something to the ring under load; nothing may be refused for more than the client's patience, or be lost. */
  async function underLoad(what: string, act: () => Promise<void>): Promise<{ unavailable: readonly number[]; movedBytes: number; lacked: number }> {
    const load = new Load(url, `load/${what.replaceAll(' ', '-')}`);
    const watch = await RingWatch.begin(client, RELEASE);
    await act();
    const watched = await watch.end();
    const report = await load.stop();
    console.log(`${what}: ${report.operations} operations, ${report.retries} retries, longest ${report.longestMs.toFixed(0)} ms, ${watched.unavailable.length} scrapes, ${watched.stable.length} layouts, ${watched.movedBytes} bytes moved`);
    expect(report.failures).toEqual([]);
    expect(await lost(url, load.acknowledged)).toEqual([]);
    const lacked = watched.stable.slice(1).reduce((sum, after, i) => sum + lackedBytesAtMost(watched.stable[i] as RingView, after, sizes), 0);
    return { unavailable: watched.unavailable, movedBytes: watched.movedBytes, lacked };
  }

  test('is ready within two minutes with the defaults', async () => {
    const begin = performance.now();
    await install(client, RELEASE);
    await client.untilReady(RELEASE, 3, READY_MS);
    console.log(`ready after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    expect(performance.now() - begin).toBeLessThan(READY_MS);
    url = await client.serviceUrl(RELEASE);
  });

  test('takes objects through the Service and gives them back through every pod', async () => {
    await store();
    for (const { ip } of await client.pods(RELEASE)) expect(await lost(`http://${ip}:8080`)).toEqual([]);
  });

  test('passes helm test', async () => {
    expect(await helm('test', RELEASE, '--namespace', client.namespace)).toContain('Succeeded');
  });

  test.each<[string, (replicas: number) => Promise<void>]>([
    ['helm upgrade', (replicas) => install(client, RELEASE, `replicaCount=${replicas}`)],
    ['kubectl scale', (replicas) => client.scale(RELEASE, replicas)],
  ])('grows to five, shrinks to three, to one and grows again by %s, and loses nothing', async (how, scale) => {
    for (const replicas of [5, 3, 1, 3]) {
      const before = new Set((await client.core.listNamespacedPersistentVolumeClaim({ namespace: client.namespace })).items.map(({ metadata }) => metadata?.name));
      const { unavailable, movedBytes, lacked } = await underLoad(`${how} to ${replicas}`, async () => {
        await scale(replicas);
        await until(async () => (await client.pods(RELEASE)).length === replicas, END_MS, `${replicas} pods are left`);
        await client.untilReady(RELEASE, replicas, READY_MS);
        await settled(replicas);
      });
      expect(unavailable.filter((ranges) => ranges > 0)).toEqual([]);
      console.log(`${how} to ${replicas}: moved ${movedBytes}, lacked ${lacked}, ratio ${lacked === 0 ? 'none' : (movedBytes / lacked).toFixed(3)}`);
      if (lacked > 0) expect(movedBytes / lacked).toBeLessThanOrEqual(MOVED_RATIO_MAX);
      expect(await lost(url)).toEqual([]);
      const after = new Set((await client.core.listNamespacedPersistentVolumeClaim({ namespace: client.namespace })).items.map(({ metadata }) => metadata?.name));
      for (const claim of before) expect(after).toContain(claim);
    }
  });

  test('restarts one after the other without a failed request', async () => {
    const before = (await client.pods(RELEASE)).map(({ uid }) => uid);
    await underLoad('rolling restart', async () => {
      await install(client, RELEASE, `podAnnotations.restarted=${randomBytes(4).toString('hex')}x`);
      await until(async () => (await client.pods(RELEASE)).every(({ uid, isReady }) => isReady && !before.includes(uid)), END_MS, 'every pod is a new one');
    });
    await settled(3);
    expect(await lost(url)).toEqual([]);
  });

  test('goes on when a pod is killed with grace 0', async () => {
    await underLoad('kill a pod', async () => {
      await client.deletePod(`${RELEASE}-1`, 0);
      await until(async () => (await client.pods(RELEASE)).length === 3, READY_MS, 'the pod is back');
      await client.untilReady(RELEASE, 3, READY_MS);
    });
    await settled(3);
    expect(await lost(url)).toEqual([]);
  });

  test('replaces a node whose volume is lost', async () => {
    const old = await adminJson<NodeView>((await client.pods(RELEASE))[2]?.ip ?? '', '/v1/node');
    await underLoad('lose a volume', async () => {
      await client.core.deleteNamespacedPersistentVolumeClaim({ namespace: client.namespace, name: `data-${RELEASE}-2` });
      await client.deletePod(`${RELEASE}-2`, 0);
      await until(async () => {
        const pod = (await client.pods(RELEASE)).find(({ name }) => name === `${RELEASE}-2`);
        return pod?.isReady === true && (await adminJson<NodeView>(pod.ip, '/v1/node')).nodeId !== old.nodeId;
      }, READY_MS, 'a new node has the name');
    });
    await settled(3);
    const pods = await client.pods(RELEASE);
    expect(await lost(`http://${pods[2]?.ip ?? ''}:8080`)).toEqual([]);
    expect((await adminJson<NodeView>(pods[2]?.ip ?? '', '/v1/node')).clusterId).toBe(old.clusterId);
  });

  test('keeps a drain to one pod at a time', async () => {
    const evict = (name: string): Promise<number> => client.core.createNamespacedPodEviction({ namespace: client.namespace, name, body: { metadata: { name, namespace: client.namespace } } })
      .then(() => 201, (error: unknown) => (error as { code?: number }).code ?? 0);
    await underLoad('drain', async () => {
      const begin = await client.pods(RELEASE);
      expect(await evict(`${RELEASE}-0`)).toBe(201);
      expect(await evict(`${RELEASE}-1`)).toBe(429);
      await until(async () => (await client.pods(RELEASE)).every(({ name, uid }) => name !== `${RELEASE}-0` || uid !== begin[0]?.uid), END_MS, 'the evicted pod is a new one');
      await client.untilReady(RELEASE, 3, READY_MS);
    });
    await settled(3);
  });

  test('sleeps at zero and wakes with everything', async () => {
    await client.scale(RELEASE, 0);
    await until(async () => (await client.pods(RELEASE)).length === 0, END_MS, 'no pod is left');
    await client.scale(RELEASE, 3);
    await client.untilReady(RELEASE, 3, READY_MS);
    await settled(3);
    expect(await lost(url)).toEqual([]);
  });

  test('comes back on its old volumes after an uninstall, as the same ring', async () => {
    const [pod] = await client.pods(RELEASE);
    const { clusterId } = await adminJson<NodeView>(pod?.ip ?? '', '/v1/node');
    await uninstall(client, RELEASE);
    await until(async () => (await client.pods(RELEASE)).length === 0, END_MS, 'no pod is left');
    await install(client, RELEASE);
    await client.untilReady(RELEASE, 3, READY_MS);
    url = await client.serviceUrl(RELEASE);
    await settled(3);
    expect(await lost(url)).toEqual([]);
    for (const { ip } of await client.pods(RELEASE)) expect((await adminJson<NodeView>(ip, '/v1/node')).clusterId).toBe(clusterId);
  });

  test('removes a node that was killed before it could leave', async () => {
    const sets = ['membership.reapAfterSeconds=60'];
    await install(client, RELEASE, ...sets, 'replicaCount=4');
    await client.untilReady(RELEASE, 4, READY_MS);
    await settled(4);
    // The drain delay is longer than what a pod gets that is deleted with grace 0.
    await client.scale(RELEASE, 3);
    await client.deletePod(`${RELEASE}-3`, 0);
    await settled(3, ORPHAN_MS);
    expect(await lost(url)).toEqual([]);
    await install(client, RELEASE);
  });

  test('never meets a second release in its namespace, which has zones and network policies', async () => {
    await install(client, 'other', 'replicaCount=2', 'networkPolicy.enabled=true', 'podLabels.topology\\.kubernetes\\.io/zone=zone-x');
    const others = await client.untilReady('other', 2, READY_MS);
    const ids = new Set<string>();
    for (const { ip } of await client.pods(RELEASE)) ids.add((await adminJson<NodeView>(ip, '/v1/node')).clusterId ?? 'none');
    ids.add(await client.secretEntry('other-dht-cluster', 'clusterId') ?? 'none');
    expect(others.length).toBe(2);
    expect(ids.size).toBe(2);
    expect((await http('GET', `${await client.serviceUrl('other')}/v1/objects/kept/0`)).status).toBe(404);
    const { members } = await adminJson<RingView>(others[0]?.ip ?? '', '/v1/ring').catch(() => ({ members: [] }));
    // The policy may keep this machine from the admin port; the label shows where it doesn't.
    for (const { zone } of members) expect(zone).toBe('zone-x');
    expect(await helm('test', 'other', '--namespace', client.namespace)).toContain('Succeeded');
    await settled(3);
    await uninstall(client, 'other');
  });

  test('needs no API access when it is given a secret', async () => {
    await client.core.createNamespacedSecret({ namespace: client.namespace, body: { metadata: { name: 'given' }, stringData: { secret: randomBytes(32).toString('hex') } } });
    await install(client, 'alone', 'kubernetes.enabled=false', 'cluster.existingSecret=given');
    await client.untilReady('alone', 3, READY_MS);
    expect(await helm('test', 'alone', '--namespace', client.namespace)).toContain('Succeeded');
    // Nobody can tell whether the pod is wanted, so it restarts and stays a member.
    await client.deletePod('alone-dht-0', 30);
    await until(async () => (await client.pods('alone')).length === 3, READY_MS, 'the pod is back');
    const pods = await client.untilReady('alone', 3, READY_MS);
    expect((await adminJson<RingView>(pods[1]?.ip ?? '', '/v1/ring')).members.length).toBe(3);
    await uninstall(client, 'alone');
  });

  const withCuts = isCommandSet('DHT_TEST_NODE_CUT') && isCommandSet('DHT_TEST_NODE_HEAL') ? test : test.skip;
  withCuts('goes on when a node of the cluster is cut off, which is whole again when it is back', async () => {
    const pods = await client.pods(RELEASE);
    const victim = pods[1];
    const survivor = pods[0];
    expect(victim?.node).not.toBe(survivor?.node);
    const node = victim?.node.replace(/^n(?=\d+$)/, '') ?? '';
    await command(process.env['DHT_TEST_NODE_CUT'] ?? '', [node]);
    const late = new Map<string, string>();
    try {
      for (let i = 0; i < 30; i++) {
        const body = randomBytes(3000);
        const { status } = await persist('PUT', `http://${survivor?.ip ?? ''}:8080/v1/objects/late/${i}`, body, 20_000);
        expect([200, 201]).toContain(status);
        late.set(`late/${i}`, digestOf(body));
      }
      expect(await lost(`http://${survivor?.ip ?? ''}:8080`)).toEqual([]);
    } finally {
      await command(process.env['DHT_TEST_NODE_HEAL'] ?? '', [node]);
    }
    await client.untilReady(RELEASE, 3, READY_MS);
    await settled(3);
    expect(await lost(`http://${victim?.ip ?? ''}:8080`, late)).toEqual([]);
  });
});
