/**
 * Runs the loop: watches clusters and their pods, StatefulSets and claims, looks at a cluster whenever something of it changes and
 * from time to time, and writes only while it holds the Lease.
 *
 * Invariants
 * - A cluster is looked at by one run at a time.
 * - Watches only say which cluster to look at. What is concluded is concluded from what is read then.
 * - Who loses the Lease ends the process: nothing of a loop that was the leader's goes on.
 */
import { randomBytes, randomUUID } from 'node:crypto';

import type { FastifyInstance } from 'fastify';
import pino, { type Logger } from 'pino';

import type { SierraCluster } from './api/sierra-cluster.ts';
import type { OperatorConfig } from './config.ts';
import {
  EventRecorder,
  type KubeConnection,
  KubeClient,
  LeaderElection,
  Reflector,
  WorkQueue,
} from './kube/index.ts';
import { persistentVolumeClaims, pods, sierraClusters, statefulSets } from './kube/resources.ts';
import type { KubeObject, ResourceType } from './kube/types.ts';
import { OperatorMetrics } from './metrics.ts';
import { NodesClient } from './nodes/index.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { labels } from './resources/names.ts';
import { openOperatorServer } from './server.ts';
