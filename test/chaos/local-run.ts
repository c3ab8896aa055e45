/** One scenario on a ring of its own on loopback: founds it, runs it under the oracle, takes it away. */
import { LocalRing } from './local-ring.ts';
import { runScenario, textOf, type OracleOptions } from './oracle.ts';
import type { ScenarioResult } from './report.ts';
import type { Scenario } from './scenario.ts';

const FOUND_MS_MAX = 300_000;

export async function runLocally(scenario: Scenario, options: OracleOptions, environment: Readonly<Record<string, string>> = {}): Promise<ScenarioResult> {
  const ring = await LocalRing.create({ replicas: scenario.replicas, environment, hasOwnVolumes: scenario.needs.includes('full-disk') && process.getuid?.() === 0, hasCertificate: scenario.needs.includes('certificate'), ...(scenario.mayExitWith !== undefined && { mayExitWith: scenario.mayExitWith }) });
  try {
    const missing = scenario.needs.find((capability) => !ring.capabilities.has(capability));
    if (missing !== undefined) {
      await ring.stop(false);
      return { kind: 'skipped', scenario: scenario.name, why: ring.whyNot(missing) };
    }
    await ring.untilWhole(FOUND_MS_MAX);
    const verdict = await runScenario(ring, scenario, options);
    const isKept = verdict.wrong.length > 0;
    const keptAt = await ring.stop(isKept);
    return { kind: 'ran', verdict, keptAt: isKept ? keptAt : null };
  } catch (error) {
    throw new Error(`${scenario.name}: ${textOf(error)}; data and logs are in ${await ring.stop(true)}`, { cause: error });
  }
}
