import type { Network } from '../../api/network.ts'
import { isTerminal } from '../../api/task-state.ts'
import type { View } from '../store/view.ts'

/** What they are called to somebody who waits for their addresses. */
export const ENDING_NETWORK = 'a removed network whose tasks still end'

/** Networks that are removed while tasks still drain on them: their bridges and addresses are there until then. */
export const endingNetworks = (view: Pick<View, 'list' | 'get'>): Network[] =>
  view
    .list('task')
    .filter((task) => !isTerminal(task.Status.State))
    .flatMap((task) => task.NetworksAttachments ?? [])
    .map(({ Network }) => Network)
    .filter(({ ID }) => view.get('network', ID) === undefined)
