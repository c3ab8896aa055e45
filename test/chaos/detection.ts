/** How soon the other nodes know: when each of them first counts a member as suspect, and as down. */
import type { ChaosRing } from './chaos-ring.ts';
import { quantile } from './probe.ts';

const LOOK_MS = 40;

export interface Detection {
  readonly suspectMs: readonly number[];
  readonly downMs: readonly number[];
}

export interface DetectionWatch {
  /** The moment from which time counts. */
  begin(): void;
  end(): Promise<Detection>;
}

export function detectionOf(ring: ChaosRing, victim: number, deadlineMs: number): DetectionWatch {
  const suspectMs: number[] = [];
  const downMs: number[] = [];
  const name = ring.nodes[victim]?.name ?? '';
  let isOver = false;
  let looks: readonly Promise<void>[] = [];
  return {
    begin: () => {
      const beganAt = performance.now();
      looks = ring.nodes.filter(({ ordinal }) => ordinal !== victim).map(async (node) => {
        let isSuspected = false;
        while (!isOver && performance.now() - beganAt < deadlineMs) {
          const view = await node.ring().catch(() => null);
          const liveness = view?.members.find((member) => member.name === name)?.liveness;
          if (!isSuspected && (liveness === 'suspect' || liveness === 'down')) {
            isSuspected = true;
            suspectMs.push(performance.now() - beganAt);
          }
          if (liveness === 'down') {
            downMs.push(performance.now() - beganAt);
            return;
          }
          await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
        }
      });
    },
    end: async () => {
      isOver = true;
      await Promise.all(looks);
      return { suspectMs, downMs };
    },
  };
}

export function detectionText({ suspectMs, downMs }: Detection): string {
  const seconds = (values: readonly number[]): string => {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted.length === 0 ? 'never' : `after ${(quantile(sorted, 0.5) / 1000).toFixed(2)} s (median), ${(quantile(sorted, 0.99) / 1000).toFixed(2)} s (p99) of ${sorted.length}`;
  };
  return `counted as suspect ${seconds(suspectMs)}; as down ${seconds(downMs)}`;
}
