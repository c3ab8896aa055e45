/** What a cluster can do to a release, by name. Each begins with a whole ring; healing and the oracle come after it. */
import { isCommandSet, until } from '../kube/kube-client.ts';
import { ClusterNemesis } from './cluster-nemesis.ts';
import type { ClusterRing } from './cluster-ring.ts';
import type { Chaos } from './cluster-run.ts';
import { availabilityText, killFiguresText, killOne, type KillFigures } from './kill-figures.ts';
import { Probe } from './probe.ts';

export interface ClusterScenario {
  readonly about: string;
  readonly replicas: number;
  /** Commands of the environment that it can't do without. */
  readonly needs: readonly string[];
  readonly act: (ring: ClusterRing, chaos: Chaos) => Promise<void>;
}

const KILLS = 10;
const PROBES_PER_SECOND = 50;
const WHOLE_MS_MAX = 420_000;
const SETTLE_MS = 5_000;
/** Share of requests of a client without patience that may fail while one pod is away, and the longest time without an answer. */
const UNAVAILABLE_SHARE_MAX = 0.01;
const GAP_MS_MAX = 5_000;
const DETECTION_MS_MAX = 3_000;

export const CLUSTER_SCENARIOS: Readonly<Record<string, ClusterScenario>> = {
  'kill-pod': {
    about: 'SIGKILL of one of three under load, ten times: detection, availability, repair', replicas: 3, needs: ['DHT_TEST_CONTAINER_KILL'],
    act: async (ring, chaos) => {
      const kills: KillFigures[] = [];
      const url = await ring.client.serviceUrl(ring.release);
      for (let i = 0; i < KILLS; i++) {
        chaos.note(`SIGKILL of ${ring.podName(i % ring.replicas)}`);
        const figures = await killOne(ring, i % ring.replicas, url, PROBES_PER_SECOND);
        kills.push(figures);
        chaos.note(`suspect after ${secondsOf(figures.suspectMs)}, down after ${secondsOf(figures.downMs)}, back after ${(figures.backMs / 1000).toFixed(1)} s, complete after ${(figures.wholeMs / 1000).toFixed(1)} s more; ${availabilityText(figures.availability)}`);
        const { requests, failed, longestGapMs } = figures.availability;
        if (failed / requests >= UNAVAILABLE_SHARE_MAX) chaos.fail(`kill ${i + 1}: ${failed} of ${requests} requests not answered`);
        if (longestGapMs > GAP_MS_MAX) chaos.fail(`kill ${i + 1}: no answer for ${longestGapMs.toFixed(0)} ms`);
        for (const ms of figures.suspectMs) if (ms > DETECTION_MS_MAX) chaos.fail(`kill ${i + 1}: suspect only after ${ms.toFixed(0)} ms`);
      }
      for (const line of killFiguresText(kills)) chaos.say(line);
    },
  },
  'delete-pod': {
    about: 'a pod deleted with grace 0, one with the default, one evicted', replicas: 3, needs: [],
    act: (ring, chaos) => observed(ring, chaos, async () => {
      for (const [ordinal, grace] of [[0, 0], [1, undefined]] as const) {
        chaos.note(`delete ${ring.podName(ordinal)}${grace === 0 ? ' with grace 0' : ''}`);
        await replaced(ring, ordinal, () => ring.deletePod(ordinal, grace));
      }
      chaos.note(`evict ${ring.podName(2)}`);
      await replaced(ring, 2, async () => { if (!(await ring.evict(2))) chaos.fail('the eviction was refused'); });
    }),
  },
  'kill-majority': {
    about: 'two of three pods deleted with grace 0: below the majority nothing hangs, and all is there afterwards', replicas: 3, needs: [],
    act: async (ring, chaos) => {
      chaos.note('delete two of three with grace 0');
      await Promise.all([replaced(ring, 0, () => ring.deletePod(0, 0)), replaced(ring, 1, () => ring.deletePod(1, 0))]);
      await whole(ring, chaos);
    },
  },
  'kill-all': {
    about: 'all pods deleted with grace 0 at once', replicas: 3, needs: [],
    act: async (ring, chaos) => {
      chaos.note('delete all with grace 0');
      await Promise.all(ring.ordinals.map((ordinal) => replaced(ring, ordinal, () => ring.deletePod(ordinal, 0))));
      await whole(ring, chaos);
    },
  },
  'rolling-restart': {
    about: 'rollout restart under load', replicas: 3, needs: [],
    act: (ring, chaos) => observed(ring, chaos, async () => {
      chaos.note('rollout restart');
      await ring.rollingRestart();
    }),
  },
  'scale': {
    about: 'three to five and back', replicas: 3, needs: [],
    act: async (ring, chaos) => {
      for (const replicas of [5, 3]) {
        chaos.say(`to ${replicas}:`);
        await observed(ring, chaos, async () => {
          chaos.note(`scale to ${replicas}`);
          await ring.scale(replicas);
        });
      }
    },
  },
  'kill-leaver': {
    about: 'one of four is killed while it leaves', replicas: 4, needs: [],
    act: async (ring, chaos) => {
      chaos.note('scale to three and delete the leaver with grace 0');
      await ring.scale(3);
      await pause(2_000);
      await ring.deletePod(3, 0);
      await whole(ring, chaos);
    },
  },
  'change-of-mind': {
    about: 'five to three and to five again while two leave', replicas: 5, needs: [],
    act: async (ring, chaos) => {
      chaos.note('scale to three');
      await ring.scale(3);
      await pause(12_000);
      chaos.note('scale to five');
      await ring.scale(5);
      await whole(ring, chaos);
    },
  },
  'sleep': {
    about: 'zero pods, and three again', replicas: 3, needs: [],
    act: async (ring, chaos) => {
      chaos.note('scale to zero');
      await ring.scale(0);
      await until(async () => (await ring.client.pods(ring.release)).length === 0, WHOLE_MS_MAX, 'no pod is left');
      chaos.note('scale to three');
      await ring.scale(3);
      await whole(ring, chaos);
    },
  },
  'lose-volume': {
    about: 'the first pod loses its volume while the others run', replicas: 3, needs: [],
    act: (ring, chaos) => observed(ring, chaos, async () => {
      chaos.note(`claim and pod of ${ring.podName(0)} deleted`);
      await ring.loseVolume(0);
    }),
  },
  'partition': {
    about: 'NetworkPolicies: one pod alone, then all three', replicas: 3, needs: [],
    act: async (ring, chaos) => {
      for (const cut of [[2], [0, 1, 2]]) {
        chaos.note(`partition of ${cut.map((ordinal) => ring.podName(ordinal)).join(', ')}`);
        for (const ordinal of cut) await ring.partition(ordinal);
        await pause(20_000);
        await ring.healPartitions();
        chaos.note('network policies are gone');
        await whole(ring, chaos);
      }
    },
  },
  'cut-node': {
    about: 'the network of a node is cut, and connected again', replicas: 3, needs: ['DHT_TEST_NODE_CUT', 'DHT_TEST_NODE_HEAL'],
    act: async (ring, chaos) => {
      chaos.note(`${await ring.cutNodeOf(1)} is cut off`);
      await pause(30_000);
      await ring.healNodes();
      chaos.note('connected again');
      await whole(ring, chaos);
    },
  },
  'kill-node': {
    about: 'a node is powered off, and on again', replicas: 3, needs: ['DHT_TEST_NODE_KILL', 'DHT_TEST_NODE_START'],
    act: async (ring, chaos) => {
      chaos.note(`${await ring.killNodeOf(1)} is powered off`);
      await pause(30_000);
      await ring.healNodes();
      chaos.note('powered on');
      await whole(ring, chaos);
    },
  },
  'drain': {
    about: 'cordon and drain of a node by evictions', replicas: 3, needs: [],
    act: (ring, chaos) => observed(ring, chaos, async () => { chaos.note(`${await ring.drainNodeOf(0)} is drained`); }),
  },
  'upgrade': {
    about: 'a Helm upgrade that changes the configuration, then uninstall and install on the old volumes', replicas: 3, needs: [],
    act: async (ring, chaos) => {
      await observed(ring, chaos, async () => {
        chaos.note('helm upgrade');
        await ring.upgrade('logging.level=debug');
      });
      chaos.note('helm uninstall');
      await ring.uninstall();
      chaos.note('helm install');
      await ring.install();
      await whole(ring, chaos);
    },
  },
};

/** Nothing, for some minutes: what others do to the ring is under the oracle. */
export function watching(minutes: number): ClusterScenario {
  return {
    about: `nothing for ${minutes} minutes, while others shake the ring`, replicas: 3, needs: [],
    act: () => pause(minutes * 60_000),
  };
}

/** Random choice of all of it, for some minutes. */
export function randomChaos(minutes: number): ClusterScenario {
  return {
    about: `random chaos for ${minutes} minutes`, replicas: 3, needs: [],
    act: async (ring, chaos) => {
      const nemesis = new ClusterNemesis(ring, chaos.random, { replicasMin: 3, replicasMax: 5 }, chaos.note);
      const run = nemesis.run();
      await Promise.race([pause(minutes * 60_000), run]);
      nemesis.end();
      await run;
      chaos.say(`faults: ${[...nemesis.counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
    },
  };
}

/** Variables that a scenario needs and that aren't set. */
export const missing = ({ needs }: ClusterScenario): readonly string[] => needs.filter((name) => !isCommandSet(name));

/** Does it while a client without patience asks, until the ring is whole again. */
async function observed(ring: ClusterRing, chaos: Chaos, act: () => Promise<void>): Promise<void> {
  const probe = await Probe.begin(await ring.client.serviceUrl(ring.release), PROBES_PER_SECOND);
  await pause(1_000);
  await act();
  await whole(ring, chaos);
  await pause(SETTLE_MS);
  const availability = await probe.end();
  chaos.say(`${availabilityText(availability)}`);
  if (availability.failed / availability.requests >= UNAVAILABLE_SHARE_MAX) chaos.fail(`${availability.failed} of ${availability.requests} requests not answered`);
  if (availability.longestGapMs > GAP_MS_MAX) chaos.fail(`no answer for ${availability.longestGapMs.toFixed(0)} ms`);
}

async function whole(ring: ClusterRing, chaos: Chaos): Promise<void> {
  chaos.note(`whole after ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s`);
}

/** Resolves when another pod of that name is ready. */
async function replaced(ring: ClusterRing, ordinal: number, act: () => Promise<void>): Promise<void> {
  const { uid } = ring.pod(ordinal);
  await act();
  await until(() => Promise.resolve(ring.pods.some((pod) => pod.name === ring.podName(ordinal) && pod.uid !== uid && pod.isReady)), WHOLE_MS_MAX, `${ring.podName(ordinal)} is a new one and ready`);
}

/** A process that is back sooner than anyone suspects it was never missed. */
const secondsOf = (times: readonly number[]): string => (times.length === 0 ? 'no time' : `${times.map((ms) => (ms / 1000).toFixed(2)).join(' and ')} s`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
