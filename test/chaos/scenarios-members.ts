/** Scenarios 6 to 15: the number of nodes changes, the ring sleeps and wakes, volumes are lost, the API doesn't answer. */
import type { RingView } from '../../src/node/node-service.ts';
import { until } from '../support/real-ring.ts';
import type { ChaosRing } from './chaos-ring.ts';
import { LOOSE, type Scenario, type Stage } from './scenario.ts';

const READY_MS_MAX = 300_000;
const WHOLE_MS_MAX = 300_000;
/** Load between two changes, so that there is something to move. */
const BETWEEN_MS = 3_000;
/** Reaping takes its delay of a minute and two reads a minute apart. */
const REAP_MS_MAX = 300_000;
/** Until a pod that was scaled away asks to leave: its drain delay, and the API's answer. */
const LEAVING_MS_MAX = 60_000;
/** Shorter than the drain delay, after which a leaver asks. */
const UNASKED_MS = 500;
/** Until nodes that were killed count as down. */
const MISSED_MS = 10_000;
const SHARE_RATIO_MAX = 1.25;

export const MEMBERS: readonly Scenario[] = [
  {
    number: 6, name: 'scale-out', about: 'three to five under load: the share of each is even, and no more moves than has to', replicas: 3, needs: [],
    steps: async (ring, stage) => {
      await stage.pause(BETWEEN_MS);
      const before = await transferred(ring);
      await scaleTo(ring, stage, 5);
      const moved = await transferred(ring) - before;
      const view = await anyRing(ring);
      const shares = view.members.map(({ heldShare }) => heldShare);
      const ratio = Math.max(...shares) / (shares.reduce((sum, share) => sum + share, 0) / shares.length);
      const stored = (await Promise.all(ring.nodes.map((node) => node.metric('dht_storage_objects_bytes')))).reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
      stage.say(`${moved} bytes moved, ${stored} bytes are stored in all copies (${(moved / Math.max(1, stored)).toFixed(2)}); largest share ${ratio.toFixed(2)} times the mean`);
      if (ratio > SHARE_RATIO_MAX) stage.fail(`the largest share is ${ratio.toFixed(2)} times the mean`);
    },
  },
  {
    number: 7, name: 'scale-in', about: 'five to three at once: both leave within their grace, no arc loses its majority', replicas: 5, needs: [], isShort: true,
    steps: async (ring, stage) => { await scaleTo(ring, stage, 3); },
  },
  {
    number: 8, name: 'kill-leaver', about: 'one of four is killed while it leaves, and before it could say that it does: the others go on without it, or reap it, and everything is whole with three', replicas: 4, needs: ['kill-for'], mayExitWith: [0],
    steps: async (ring, stage) => {
      await killLeavers(ring, stage, [3], 3, true);
      stage.say(`without the leaver after ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s`);
      stage.note('scale to 4');
      await ring.scale(4);
      await ring.untilWhole(WHOLE_MS_MAX);
      await killLeavers(ring, stage, [3], 3, false);
      stage.say(`without the silent one after ${(await ring.untilWhole(REAP_MS_MAX) / 1000).toFixed(0)} s`);
    },
  },
  {
    number: 8, name: 'kill-leavers', about: 'two of five are killed before they could say that they leave: arcs that had both are without a majority, and with five again nothing is lost', replicas: 5, needs: ['kill-for'], mayExitWith: [0],
    steps: async (ring, stage) => {
      await killLeavers(ring, stage, [3, 4], 3, false);
      await stage.pause(MISSED_MS);
      const arcs = await ring.nodes[0]?.metric('dht_ring_ranges', 'status="unavailable"');
      stage.say(`${arcs ?? 'unknown'} arcs without a majority`);
      stage.note('scale to 5');
      await ring.scale(5);
      stage.say(`whole with five ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s later`);
    },
  },
  {
    number: 9, name: 'sleep', about: 'three to zero and back: nobody leaves, everything is there', replicas: 3, needs: [], isShort: true,
    steps: async (ring, stage) => {
      const before = await memberIds(ring);
      await stage.pause(1_000);
      stage.note('scale to 0');
      await ring.scale(0);
      await stage.pause(8_000);
      stage.note('scale to 3');
      await ring.scale(3);
      const ms = await ring.untilWhole(WHOLE_MS_MAX);
      stage.say(`whole ${(ms / 1000).toFixed(1)} s after it was woken`);
      if (JSON.stringify(await memberIds(ring)) !== JSON.stringify(before)) stage.fail('the members are others than before');
    },
  },
  {
    number: 10, name: 'leave-and-return', about: 'five to three to five on the old volumes: those who return join with what they still have as a cache, and no deleted object comes back', replicas: 5, needs: [],
    steps: async (ring, stage) => {
      await scaleTo(ring, stage, 3);
      await stage.pause(BETWEEN_MS);
      await scaleTo(ring, stage, 5);
    },
  },
  {
    number: 11, name: 'change-of-mind', about: 'five to three and to five again while two leave: it ends in five', replicas: 5, needs: [],
    steps: async (ring, stage) => {
      for (const afterMs of [300, 1_500]) {
        stage.note('scale to 3');
        await ring.scale(3);
        await stage.pause(afterMs);
        stage.note('scale to 5');
        await ring.scale(5);
        const ms = await ring.untilWhole(WHOLE_MS_MAX);
        stage.say(`whole with five ${(ms / 1000).toFixed(1)} s later`);
      }
    },
  },
  {
    number: 12, name: 'no-api', about: 'SIGTERM while the API hangs, refuses or fails: every doubt is a restart, decided within ten seconds', replicas: 3, needs: ['api-faults'], isShort: true,
    steps: async (ring, stage) => {
      const before = await memberIds(ring);
      for (const [i, fault] of (['silent', 403, 404, 500] as const).entries()) {
        const ordinal = i % 3;
        await ring.apiFault(fault);
        stage.note(`the API answers ${String(fault)}; SIGTERM of node ${ordinal}`);
        const beganAt = performance.now();
        await ring.restart(ordinal);
        const ms = performance.now() - beganAt;
        stage.say(`with an API that answers ${String(fault)} it ended after ${(ms / 1000).toFixed(1)} s`);
        // The decision takes ten seconds at most, then requests under way get theirs.
        if (ms > 25_000) stage.late(`SIGTERM took ${ms.toFixed(0)} ms while the API answered ${String(fault)}`);
        // Who starts asks the API whose ring it is in: what isn't answered is no reason to stay away.
        await ring.untilReady([ordinal], READY_MS_MAX).catch(() => stage.fail(`node ${ordinal} is not ready again while the API answers ${String(fault)}`));
        await ring.apiFault(null);
        await ring.untilWhole(WHOLE_MS_MAX);
      }
      if (JSON.stringify(await memberIds(ring)) !== JSON.stringify(before)) stage.fail('the members are others than before');
    },
  },
  {
    number: 13, name: 'cold-start', about: 'a new installation, its pods and their names there at random times, five times: always one ring', replicas: 3, needs: ['fresh-ring'], isShort: true,
    steps: async (ring, stage) => {
      for (let i = 0; i < 5; i++) {
        stage.note(`a new installation, ${i + 1} of 5`);
        const ids = await ring.foundAnew(() => stage.random.float());
        if (ids.size !== 1) stage.fail(`the new installation has ${ids.size} rings: ${[...ids].join(', ')}`);
      }
    },
  },
  {
    number: 14, name: 'lose-volume', about: 'the first node loses its volume while the others run: it joins them as a new one', replicas: 3, needs: [], isShort: true,
    steps: async (ring, stage) => {
      const old = await ring.nodes[0]?.view();
      await stage.observe('the first volume lost', async () => {
        stage.note('node 0 loses its volume');
        await ring.loseVolumes([0]);
        await ring.untilReady([0], READY_MS_MAX);
        const ms = await ring.untilWhole(WHOLE_MS_MAX);
        stage.say(`everything has its copies again ${(ms / 1000).toFixed(1)} s after it is ready`);
      }, LOOSE);
      const now = await ring.nodes[0]?.view();
      if (now?.nodeId === old?.nodeId) stage.fail('it has the id of the node whose disk is lost');
    },
  },
  {
    number: 15, name: 'lose-volume-alone', about: 'the first node loses its volume while the others are down: it waits for them and founds nothing', replicas: 3, needs: ['kill-for'],
    steps: async (ring, stage) => {
      const awayMs = 20_000;
      stage.note('node 0 loses its volume, 1 and 2 are killed');
      await Promise.all([ring.kill([1, 2], awayMs), ring.loseVolumes([0])]);
      const endAt = performance.now() + awayMs - 3_000;
      while (performance.now() < endAt) {
        const view = await ring.nodes[0]?.view().catch(() => null);
        if (view?.clusterId !== null && view?.clusterId !== undefined) stage.fail(`alone it is in ring ${view.clusterId}`);
        if (ring.nodes[0]?.isReady === true) stage.fail('alone it is ready');
        await stage.pause(500);
      }
      const ms = await ring.untilWhole(WHOLE_MS_MAX);
      stage.say(`whole after ${(ms / 1000).toFixed(1)} s more`);
    },
  },
];

async function scaleTo(ring: ChaosRing, stage: Stage, replicas: number): Promise<void> {
  await stage.observe(`to ${replicas}`, async () => {
    stage.note(`scale to ${replicas}`);
    await ring.scale(replicas);
    const ms = await ring.untilWhole(WHOLE_MS_MAX);
    stage.say(`whole with ${replicas} after ${(ms / 1000).toFixed(1)} s`);
  });
}

/** Scales them away and kills them: once the layout has them on their way out, or before they asked for it. */
async function killLeavers(ring: ChaosRing, stage: Stage, leavers: readonly number[], replicas: number, haveAsked: boolean): Promise<void> {
  const names = leavers.map((ordinal) => ring.nodes[ordinal]?.name);
  stage.note(`scale to ${replicas}`);
  await ring.scale(replicas);
  let found: readonly string[] = [];
  const look = async (): Promise<boolean> => {
    const view = await anyRing(ring).catch(() => null);
    found = names.map((name) => (view === null ? 'member' : view.members.find((member) => member.name === name)?.state ?? 'gone'));
    return found.every((state) => state !== 'member');
  };
  if (haveAsked) await until(look, LEAVING_MS_MAX, 'the layout has the leavers on their way out');
  else await stage.pause(UNASKED_MS);
  await ring.kill(leavers);
  if (!haveAsked) await look();
  stage.note(`SIGKILL of ${leavers.join(' and ')}, which the layout has as ${found.join(' and ')}`);
}

async function anyRing(ring: ChaosRing): Promise<RingView> {
  const [node] = ring.nodes;
  if (node === undefined) throw new Error('there is no node');
  return await node.ring();
}

async function memberIds(ring: ChaosRing): Promise<readonly string[]> {
  return (await anyRing(ring)).members.map(({ nodeId }) => nodeId).sort();
}

async function transferred(ring: ChaosRing): Promise<number> {
  const counts = await Promise.all(ring.nodes.map((node) => node.metric('dht_rebalance_transferred_bytes_total', 'direction="in"')));
  return counts.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
}
