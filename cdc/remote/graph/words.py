"""The schema. Names are those that SDKs' tests ask for, and beside them our own."""

from __future__ import annotations

SCHEMA = """
"A moment in RFC 3339."
scalar Time

type Query {
  "A run; all fields are null while there is none."
  run(runID: String!): Run!
  "What started a run."
  runTrigger(runID: String!): RunTrigger
  "What a step came to, by the outputID of its span."
  runTraceSpanOutputByID(outputID: String!): SpanOutput!
  "Runs, newest first."
  runs(functionID: String, status: RunStatus, first: Int = 20): [Run!]!
  "An event; functionRuns is empty while there is none."
  event(query: EventQuery!): Event!
  "Events, newest first."
  events(name: String, first: Int = 20): [Event!]!
  functions: [Function!]!
  function(id: String!): Function
  apps: [App!]!
}

type Mutation {
  "Cancel an unfinished run."
  cancelRun(runID: String!): Run!
  "Give a run's events to a new run, whose id it answers with."
  rerun(runID: String!): String!
  "Start one run of a function; data is a JSON object. Answers with the id of its event."
  invokeFunction(functionSlug: String!, data: String): String!
}

enum RunStatus { QUEUED RUNNING COMPLETED FAILED CANCELLED }

type Run {
  id: String
  functionID: String
  function: Function
  status: RunStatus
  "JSON: what it returned, or its error. Null until it ends."
  output: String
  eventIDs: [String!]
  queuedAt: Time
  startedAt: Time
  endedAt: Time
  trace: Span
}

"A run, or a step of it."
type Span {
  name: String!
  status: String!
  stepID: String
  kind: String
  attempts: Int!
  startedAt: Time
  endedAt: Time
  outputID: String
  childrenSpans: [Span!]!
}

type SpanOutput {
  "JSON."
  data: String
  error: StepError
}

type StepError { message: String! name: String! stack: String }

type RunTrigger {
  eventName: String!
  IDs: [String!]!
  "The events, as JSON."
  payloads: [String!]!
  timestamp: Time
  isBatch: Boolean!
}

input EventQuery { eventId: ID! }

type Event {
  id: ID
  name: String
  "The event as functions see it, as JSON."
  payload: String
  receivedAt: Time
  functionRuns: [Run!]!
}

type Function {
  id: String!
  slug: String!
  name: String!
  appName: String
  triggers: [Trigger!]!
  isPaused: Boolean!
  runs(first: Int = 20): [Run!]!
}

type Trigger { type: String! value: String! condition: String }

type App { name: String! functions: [Function!]! }
"""
