/** A meter that forgets everything: simulated nodes are judged by checkers, not by their metrics. */
import type { Meter } from '../ports/meter.ts';

const IGNORE = (): void => {};
const METRIC = { add: IGNORE, set: IGNORE, remove: IGNORE, observe: IGNORE };

export const SIM_METER: Meter = {
  counter: () => METRIC,
  gauge: () => METRIC,
  histogram: () => METRIC,
  onScrape: IGNORE,
};
