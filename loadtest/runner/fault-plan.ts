/**
 * When the starter does something to the ring: in during-chaos it kills a node when a quarter of the load is over and has
 * it back at the half; in scale-out it adds two when the baseline was taken. It waits for the line by which the script says
 * that the objects are stored, for that takes as long as it takes.
 */
import { readFile } from 'node:fs/promises';
import { PREPARED_LINE } from '../lib/log-lines.ts';
import { scenarioProfile, type Overrides, type Profile, type ScenarioName } from '../lib/profile.ts';
import type { Faults } from './target.ts';

interface PlannedFault {
  readonly afterSeconds: number;
  readonly act: (faults: Faults) => Promise<string>;
}

export function faultPlan(scenario: ScenarioName, profile: Profile, overrides: Overrides): readonly PlannedFault[] {
  const { warmupSeconds } = profile;
  if (scenario === 'during-chaos') {
    const { seconds } = scenarioProfile(profile, scenario, overrides);
    return [{ afterSeconds: warmupSeconds + seconds / 4, act: (faults) => faults.kill() }, { afterSeconds: warmupSeconds + seconds / 2, act: (faults) => faults.bringBack() }];
  }
  if (scenario === 'scale-out') return [{ afterSeconds: warmupSeconds + scenarioProfile(profile, scenario, overrides).baselineSeconds, act: (faults) => faults.grow() }];
  return [];
}

const POLL_MS = 200;

/** Rejects when a fault could not be made; ends early when `isOver`. */
export async function makeFaults(plan: readonly PlannedFault[], faults: Faults, consoleFile: string, isOver: () => boolean, print: (line: string) => void): Promise<void> {
  while (!(await isPrepared(consoleFile))) {
    if (isOver()) return;
    await pause(POLL_MS);
  }
  const begin = performance.now();
  for (const { afterSeconds, act } of plan) {
    while (performance.now() - begin < 1000 * afterSeconds) {
      if (isOver()) return;
      await pause(POLL_MS);
    }
    const what = await act(faults);
    print(`${((performance.now() - begin) / 1000).toFixed(1)} s: ${what}`);
  }
}

async function isPrepared(consoleFile: string): Promise<boolean> {
  return (await readFile(consoleFile, 'utf8').catch(() => '')).split('\n').includes(PREPARED_LINE);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}
