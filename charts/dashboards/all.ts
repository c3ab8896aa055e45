/** All dashboards, as the files they become. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { nodeDashboard } from './node.ts';
import { overviewDashboard } from './overview.ts';
import { ringDashboard } from './ring.ts';

export const dashboards = (): readonly Dashboard[] => [overviewDashboard(), ringDashboard(), nodeDashboard()];

/** Text by file name. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(dashboards().map((dashboard) => [`${dashboard.uid ?? ''}.json`, `${JSON.stringify(dashboard, null, 2)}\n`]));
}
