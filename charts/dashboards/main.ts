/**
 * `npm run dashboards` writes the dashboards as JSON into the chart, which installs them. The JSON is committed, so that
 * Helm needs no Node; a test builds them again and compares.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dashboardFiles } from './all.ts';

const FOLDER = path.resolve(import.meta.dirname, '../dht/files/dashboards');

mkdirSync(FOLDER, { recursive: true });
for (const [name, text] of dashboardFiles()) writeFileSync(path.join(FOLDER, name), text);
