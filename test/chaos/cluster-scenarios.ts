/**
 * Scenarios that only a cluster can play: what needs Kubernetes' own hands, or commands of the environment. Each begins with a
 * whole ring; healing and the oracle come after it. Those of the catalogue that need nothing else, and have no form of their own
 * here, run on a cluster as they are.
 */
import { isCommandSet, until } from '../kube/kube-client.ts';
import { SCENARIOS } from './catalogue.ts';
import { ClusterNemesis } from './cluster-nemesis.ts';
import { CLUSTER_CAPABILITIES, type ClusterRing } from './cluster-ring.ts';
import { killFiguresText, killOne, type KillFigures } from './kill-figures.ts';
import { availabilityText } from './oracle.ts';
import { PROMISED, type AvailabilityLimits, type Stage } from './scenario.ts';

export interface ClusterScenario {
  readonly number: number;
  readonly name: string;
  readonly about: string;
  readonly replicas: number;
  /** Commands of the environment that it can't do without. */
  readonly commands: readonly string[];
  readonly steps: (ring: ClusterRing, stage: Stage) => Promise<void>;
}

const KILLS = 10;
const PROBES_PER_SECOND = 50;
const WHOLE_MS_MAX = 420_000;
const DETECTION_MS_MAX = 3_000;
/** Until a pod ends that was scaled away: drain delay, hand-over, receipts. */
const END_MS_MAX = 420_000;
const REPLICAS_MIN = 3;
const REPLICAS_MAX = 5;
/** Longer than it takes to reap a leaver that was killed. */
const ALONE_MS_MAX = 180_000;

export const CLUSTER_SCENARIOS: readonly ClusterScenario[] = [
  {
    number: 1, name: 'kill-pod', about: 'SIGKILL of one of three under load, ten times: detection, availability, repair', replicas: 3, commands: ['DHT_TEST_CONTAINER_KILL'],
    steps: async (ring, stage) => {
      const kills: KillFigures[] = [];
      for (let i = 0; i < KILLS; i++) {
        stage.note(`SIGKILL of ${ring.podName(i % ring.replicas)}`);
        const figures = await killOne(ring, i % ring.replicas, PROBES_PER_SECOND);
        kills.push(figures);
        const { detection: { suspectMs, downMs }, backMs, wholeMs, availability } = figures;
        stage.note(`suspect after ${secondsOf(suspectMs)}, down after ${secondsOf(downMs)}, back after ${(backMs / 1000).toFixed(1)} s, complete after ${(wholeMs / 1000).toFixed(1)} s more; ${availabilityText(availability)}`);
        checkPromised(`kill ${i + 1}`, availability.failed / availability.requests, availability.longestGapMs, PROMISED, stage);
        for (const ms of suspectMs) if (ms > DETECTION_MS_MAX) stage.fail(`kill ${i + 1}: suspect only after ${ms.toFixed(0)} ms`);
      }
      for (const line of killFiguresText(kills)) stage.say(line);
    },
  },
  {
    number: 2, name: 'delete-pod', about: 'a pod deleted with grace 0, one with the default, one evicted', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      await stage.observe('three pods deleted', async () => {
        for (const [ordinal, grace] of [[0, 0], [1, undefined]] as const) {
          stage.note(`delete ${ring.podName(ordinal)}${grace === 0 ? ' with grace 0' : ''}`);
          await ring.deletePod(ordinal, grace);
          await ring.untilReady([ordinal], WHOLE_MS_MAX);
          await ring.untilWhole(WHOLE_MS_MAX);
        }
        stage.note(`evict ${ring.podName(2)}`);
        if (!(await ring.evict(2))) stage.fail('the eviction was refused');
        await ring.untilReady([2], WHOLE_MS_MAX);
      }, PROMISED);
    },
  },
  {
    number: 5, name: 'rollout-restart', about: 'kubectl rollout restart under load', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      await stage.observe('rollout restart', async () => {
        stage.note('rollout restart');
        await ring.rollingRestart();
      }, PROMISED);
    },
  },
  {
    number: 6, name: 'scale-pods', about: 'kubectl scale from three to five and back', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      for (const replicas of [5, 3]) {
        await stage.observe(`to ${replicas}`, async () => {
          stage.note(`scale to ${replicas}`);
          await ring.scale(replicas);
          await ring.untilWhole(END_MS_MAX);
        }, PROMISED);
      }
    },
  },
  {
    number: 8, name: 'kill-leaver', about: 'one of four is deleted with grace 0 while it leaves', replicas: 4, commands: [],
    steps: async (ring, stage) => {
      stage.note('scale to three and delete the leaver with grace 0');
      await ring.scale(3);
      await stage.pause(2_000);
      await ring.deletePod(3, 0);
      stage.say(`whole after ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s`);
    },
  },
  {
    number: 9, name: 'sleep-pods', about: 'zero pods, and three again', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      stage.note('scale to zero');
      await ring.scale(0);
      await until(async () => (await ring.client.pods(ring.release)).length === 0, END_MS_MAX, 'no pod is left');
      stage.note('scale to three');
      await ring.scale(3);
      await ring.untilWhole(WHOLE_MS_MAX);
    },
  },
  {
    number: 11, name: 'change-of-mind', about: 'five to three, and to five again while two leave', replicas: 5, commands: [],
    steps: async (ring, stage) => {
      stage.note('scale to three');
      await ring.scale(3);
      await stage.pause(12_000);
      stage.note('scale to five');
      await ring.scale(5);
      await ring.untilWhole(WHOLE_MS_MAX);
    },
  },
  {
    number: 14, name: 'lose-claim', about: 'the first pod and its claim are deleted while the others run', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      await stage.observe('claim and pod deleted', async () => {
        stage.note(`claim and pod of ${ring.podName(0)} deleted`);
        await ring.loseVolume(0);
        await ring.untilWhole(WHOLE_MS_MAX);
      }, PROMISED);
    },
  },
  {
    number: 18, name: 'network-policy', about: 'NetworkPolicies cut one pod off, then each from each', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      for (const cut of [[2], [0, 1, 2]]) {
        stage.note(`cut off: ${cut.map((ordinal) => ring.podName(ordinal)).join(', ')}`);
        for (const ordinal of cut) await ring.partition(ordinal);
        await stage.pause(20_000);
        await ring.healPartitions();
        stage.say(`whole ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s after the policies are gone`);
      }
    },
  },
  {
    number: 18, name: 'cut-node', about: 'the network of a node is cut, and connected again', replicas: 3, commands: ['DHT_TEST_NODE_CUT', 'DHT_TEST_NODE_HEAL'],
    steps: async (ring, stage) => {
      stage.note(`${await ring.cutNodeOf(1)} is cut off`);
      await stage.pause(30_000);
      await ring.healNodes();
      stage.say(`whole ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s after it is connected again`);
    },
  },
  {
    number: 19, name: 'kill-machine', about: 'a node of the cluster is powered off, and on again', replicas: 3, commands: ['DHT_TEST_NODE_KILL', 'DHT_TEST_NODE_START'],
    steps: async (ring, stage) => {
      stage.note(`${await ring.killNodeOf(1)} is powered off`);
      await stage.pause(30_000);
      await ring.healNodes();
      stage.say(`whole ${(await ring.untilWhole(WHOLE_MS_MAX) / 1000).toFixed(1)} s after it is powered on`);
    },
  },
  {
    number: 26, name: 'drain', about: 'cordon and drain of a node by evictions', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      await stage.observe('drain', async () => {
        stage.note(`${await ring.drainNodeOf(0)} is drained`);
        await ring.untilWhole(WHOLE_MS_MAX);
      }, PROMISED);
    },
  },
  {
    number: 27, name: 'upgrade', about: 'a Helm upgrade that changes the configuration, then uninstall and install on the old volumes', replicas: 3, commands: [],
    steps: async (ring, stage) => {
      await stage.observe('helm upgrade', async () => {
        stage.note('helm upgrade');
        await ring.upgrade('logging.level=debug');
      }, PROMISED);
      stage.note('helm uninstall');
      await ring.uninstall();
      stage.note('helm install');
      await ring.install();
      await ring.untilWhole(WHOLE_MS_MAX);
    },
  },
];

/** What the catalogue has under numbers that nothing here has, if a cluster can do it. */
const AS_ON_LOOPBACK: readonly ClusterScenario[] = SCENARIOS
  .filter(({ number, needs }) => !CLUSTER_SCENARIOS.some((own) => own.number === number) && needs.every((capability) => CLUSTER_CAPABILITIES.has(capability)))
  .map((scenario) => ({ ...scenario, commands: [] }));

/** All that the driver on a cluster plays. `minutes`: how long it watches, or goes on by chance. */
export function playedOnCluster(minutes: number): readonly ClusterScenario[] {
  return [watching(minutes), ...CLUSTER_SCENARIOS, ...AS_ON_LOOPBACK, randomChaos(minutes)].sort((a, b) => a.number - b.number);
}

/** Nothing, for some minutes: what others do to the ring is under the oracle. */
function watching(minutes: number): ClusterScenario {
  return { number: 0, name: 'watch', about: `nothing for ${minutes} minutes, while others shake the ring`, replicas: 3, commands: [], steps: (_ring, stage) => stage.pause(minutes * 60_000) };
}

/** Random choice of all of it, for some minutes. */
function randomChaos(minutes: number): ClusterScenario {
  return {
    number: 30, name: 'random', about: `random chaos for ${minutes} minutes`, replicas: 3, commands: [],
    steps: async (ring, stage) => {
      const nemesis = new ClusterNemesis(ring, stage.random, { replicasMin: REPLICAS_MIN, replicasMax: REPLICAS_MAX }, (what) => { stage.note(what); });
      const run = nemesis.run();
      await Promise.race([stage.pause(minutes * 60_000), run]);
      nemesis.end();
      await run;
      // Two leavers that were killed before they could hand over are wanted back: without them some arcs have no majority.
      const isWhole = await ring.untilWhole(ALONE_MS_MAX).then(() => true, () => false);
      if (!isWhole) {
        stage.note(`scale to ${REPLICAS_MAX}: killed leavers have to return`);
        await ring.scale(REPLICAS_MAX);
      }
      stage.say(`faults: ${[...nemesis.counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
    },
  };
}

/** Commands that a scenario needs and that aren't set. */
export const missing = ({ commands }: ClusterScenario): readonly string[] => commands.filter((name) => !isCommandSet(name));

function checkPromised(what: string, failedShare: number, gapMs: number, { failedShareMax, gapMsMax }: AvailabilityLimits, stage: Stage): void {
  if (failedShareMax !== null && failedShare > failedShareMax) stage.fail(`${what}: ${(100 * failedShare).toFixed(2)} % of requests not answered`);
  if (gapMsMax !== null && gapMs > gapMsMax) stage.fail(`${what}: no answer for ${gapMs.toFixed(0)} ms`);
}

/** A process that is back sooner than anyone suspects it was never missed. */
const secondsOf = (times: readonly number[]): string => (times.length === 0 ? 'no time' : `${times.map((ms) => (ms / 1000).toFixed(2)).join(' and ')} s`);
