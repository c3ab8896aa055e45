/** Scenarios 25 and 29: what is replaced while the ring serves: the program, the certificate of the gateways, the secret of the nodes. */
import { connect } from 'node:tls';
import { PROTOCOL_VERSIONS } from '../../src/domain/protocol-versions.ts';
import type { ChaosRing } from './chaos-ring.ts';
import { LOOSE, PROMISED, type Scenario, type Stage } from './scenario.ts';

const READY_MS_MAX = 300_000;
const WHOLE_MS_MAX = 300_000;
const CALL_MS_MAX = 60_000;
/** Between the two halves of a pair of files, and until a replaced pair has to be in use: three looks. */
const HALF_MS = 6_000;
const RENEWED_MS_MAX = 60_000;
/** The certificate's new half first, so that for a while it doesn't fit the key. */
const CERTIFICATES = ['half', 'renewed'] as const;
const SECRETS = ['old-and-new', 'new-and-old', 'new'] as const;

export const UPGRADES: readonly Scenario[] = [
  {
    number: 25, name: 'mixed-versions', about: 'a rolling upgrade that is taken back half-way and done again: nodes of two versions in one ring, and each operation works through each', replicas: 3, needs: ['versions'],
    steps: async (ring, stage) => {
      const { min: before, max: now } = PROTOCOL_VERSIONS;
      for (const [what, steps] of [
        ['to the version before', [[2, before], [1, before], [0, before]]],
        ['an upgrade that is taken back', [[2, now], [1, now], [1, before], [2, before]]],
        ['the upgrade', [[2, now], [1, now], [0, now]]],
      ] as const) {
        await stage.observe(what, async () => {
          for (const [ordinal, version] of steps) {
            stage.note(`node ${ordinal} restarts with version ${version}`);
            await ring.chooseVersion(ordinal, version);
            await ring.restart(ordinal);
            await ring.untilReady([ordinal], READY_MS_MAX);
            const speaks = (await ring.nodes[ordinal]?.view())?.protocolMax;
            if (speaks !== version) stage.fail(`node ${ordinal} speaks version ${speaks ?? 'none'}, not ${version}`);
            await checkOperations(ring, stage, `with node ${ordinal} at version ${version}`);
          }
        }, LOOSE);
      }
      // Replicas are compared by digests only between nodes of the newer version, so that it is whole only now.
      const ms = await ring.untilWhole(WHOLE_MS_MAX);
      stage.say(`whole ${(ms / 1000).toFixed(1)} s after the last upgrade`);
    },
  },
  {
    number: 29, name: 'renewed-certificate', about: 'the gateways get another certificate, half of the pair first: no handshake fails, and no process restarts', replicas: 3, needs: ['certificate'],
    steps: async (ring, stage) => {
      const before = await certificates(ring);
      await stage.observe('the certificate renewed', async () => {
        for (const step of CERTIFICATES) {
          stage.note(`the files of every node: ${step}`);
          for (const { ordinal } of ring.nodes) await ring.replaceCertificate(ordinal, step);
          await stage.pause(HALF_MS);
        }
        const endAt = performance.now() + RENEWED_MS_MAX;
        let now = await certificates(ring);
        while (now.some((shown, i) => shown === before[i]) && performance.now() < endAt) {
          await stage.pause(250);
          now = await certificates(ring);
        }
        if (now.some((shown, i) => shown === before[i])) stage.fail(`${RENEWED_MS_MAX} ms after it was replaced some node shows the old certificate`);
      }, { ...PROMISED, failedShareMax: 0 });
    },
  },
  {
    number: 29, name: 'rotated-secret', about: 'another cluster secret in three rolling restarts: old and new, new and old, new; no handshake is refused', replicas: 3, needs: ['secret'],
    steps: async (ring, stage) => {
      for (const step of SECRETS) {
        await stage.observe(`secret: ${step}`, async () => {
          stage.note(`the secret is ${step}`);
          await ring.rotateSecret(step);
          for (const { ordinal } of ring.nodes) {
            await checkNoneRefused(ring, stage, step);
            await ring.restart(ordinal);
            await ring.untilReady([ordinal], READY_MS_MAX);
          }
          await ring.untilWhole(WHOLE_MS_MAX);
          await checkNoneRefused(ring, stage, step);
        }, LOOSE);
      }
    },
  },
];

/** A put through each node, read through all, and a delete through another one. */
async function checkOperations(ring: ChaosRing, stage: Stage, when: string): Promise<void> {
  const { nodes } = ring;
  const key = (i: number): string => `mixed/${i}`;
  const call = async (i: number, j: number, method: string, expected: readonly number[], body: string | null = null): Promise<string> => {
    const node = nodes[i];
    const response = await fetch(node?.objectUrl(key(j)) ?? '', { method, body, signal: AbortSignal.timeout(CALL_MS_MAX) });
    const text = await response.text();
    if (!expected.includes(response.status)) stage.fail(`${when}: ${method} through ${node?.name ?? ''} is answered ${response.status} ${text.slice(0, 200)}`);
    return text;
  };
  const each = nodes.map((_, i) => i);
  for (const i of each) await call(i, i, 'PUT', [200, 201], `${when}, ${i}`);
  for (const i of each) {
    for (const j of each) {
      const text = await call(i, j, 'GET', [200]);
      if (text !== `${when}, ${j}`) stage.fail(`${when}: ${key(j)} through node ${i} is "${text.slice(0, 200)}"`);
    }
  }
  for (const i of each) await call(i, (i + 1) % nodes.length, 'DELETE', [200, 204]);
  for (const i of each) for (const j of each) await call(i, j, 'GET', [404]);
}

/** What each gateway shows to a new connection, by fingerprint. */
function certificates(ring: ChaosRing): Promise<readonly string[]> {
  return Promise.all(ring.nodes.map(({ url }) => new Promise<string>((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', reject);
  })));
}

async function checkNoneRefused(ring: ChaosRing, stage: Stage, step: string): Promise<void> {
  for (const node of ring.nodes) {
    const refused = await node.metric('dht_peer_handshake_failures_total', 'reason="auth"');
    if (refused !== 0) stage.fail(`${step}: ${node.name} refused ${refused ?? 'unknown'} handshakes`);
  }
}
