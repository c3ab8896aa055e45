/** Three simulated nodes that found a ring together, and what each of them counts. */
import { expect } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { Labels } from '../../src/ports/meter.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { RecordingMeter } from './recording-meter.ts';
import { Scenario } from './scenario.ts';

export const METERED_NAMES = ['a:1', 'b:1', 'c:1'];

export class MeteredRing {
  readonly scenario = new Scenario(ALL_RULES);
  readonly #meters = new Map<string, RecordingMeter>();

  constructor() {
    this.scenario.meterOf = (name) => {
      const meter = new RecordingMeter();
      this.#meters.set(name, meter);
      return meter;
    };
  }

  value(node: SimNode, name: string, labels: Labels = {}): number {
    return must(this.#meters.get(node.name), `the meter of ${node.name}`).value(name, labels);
  }

  nodeId(node: SimNode): string {
    return this.scenario.program(node).service.view().nodeId;
  }

  async run(play: (nodes: readonly [SimNode, SimNode, SimNode]) => Promise<void>): Promise<void> {
    const violations = await this.scenario.run(async () => {
      const [a, b, c] = await this.scenario.found(METERED_NAMES);
      await play([must(a, 'a'), must(b, 'b'), must(c, 'c')]);
    });
    expect(violations).toEqual([]);
  }
}
