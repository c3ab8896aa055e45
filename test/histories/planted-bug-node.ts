/**
 * The program with a bug planted, to see that a run of histories notices: one rule of the protocol switched off,
 * `localReads` (reads ask this node's own disk alone) or `lostDeletes` (deletes are answered and not done).
 *
 *   HISTORIES_BUG=localReads npm run histories -- --entry-point test/histories/planted-bug-node.ts
 *
 * It exists for tests: the bug is planted in memory before the program is loaded, and there is no setting for it.
 */
import type { GetRequest } from '../../src/domain/object-operation.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { Coordinator } from '../../src/replication/coordinator.ts';

const bug = process.env['HISTORIES_BUG'] ?? '';
if (bug === 'localReads') {
  const get = Coordinator.prototype.get;
  Coordinator.prototype.get = function localGet(this: Coordinator, request: GetRequest) {
    return get.call(this, { ...request, consistency: 'one' });
  };
} else if (bug === 'lostDeletes') {
  Coordinator.prototype.delete = () => Promise.resolve({ kind: 'deleted', wasPresent: true });
} else if (Object.hasOwn(ALL_RULES, bug)) {
  Object.assign(ALL_RULES, { [bug]: false });
} else {
  throw new Error(`HISTORIES_BUG is "${bug}", which is none of localReads, lostDeletes, ${Object.keys(ALL_RULES).join(', ')}`);
}
await import('../../src/main.ts');
