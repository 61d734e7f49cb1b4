// What the daemon answers when it does not do what it was asked: Docker's words where Docker has some.

import { SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'

export const JOIN_TIMEOUT =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.'

export const NOT_LOCKED = 'swarm is not locked'

export const NOT_WRITTEN = 'the first manager could not write its state: see its log'

export const NOT_ALONE = 'this manager could not go on alone: see its log'

export const LEAVE_LOCKED =
  'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.'

export const NOTHING_TO_FORCE =
  'this node is in no swarm: there is no state to make a new cluster from. Leave --force-new-cluster out, or use "swarmctl restore" with a backup'

export const NO_STATE_TO_FORCE =
  'this manager has no state to make a new cluster from: its log is damaged, or it did not get the state yet. Do it on another manager, or run "swarmctl leave --force" and then "swarmctl restore FILE" with a backup'

export const LEAVE_MANAGER =
  'You are attempting to leave the swarm on a node that is participating as a manager. Demote it first ("swarmctl node demote"), or leave with --force; when the last manager leaves, the state of the swarm is lost.'

export const LEFT_CONTAINERS =
  'left while the Docker Engine is down: its containers are removed as soon as it answers'

export const leaveWithoutEngine = (why: string): string =>
  `${why}: the containers of the swarm can't be removed now. Start the Engine and leave again; with --force this node leaves at once, and its containers go when the Engine is back`

export const stillMember = (error: unknown): SwarmctlError =>
  unavailable(
    `${toSwarmctlError(error).message}: not all containers of the swarm can be removed now, and the disk does not take a note of whose they are. Make room below the data directory or mend what the Engine says, and leave again with --force`,
  )

export const credentialsGone = (dataDir: string): SwarmctlError =>
  new SwarmctlError(
    'INTERNAL',
    `the credentials of this node are gone from ${dataDir}: put credentials.json back from a copy of the data directory, or run "swarmctl leave --force" and join again`,
  )
