// Made by scripts/generate from the server's types. Not edited by hand.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * Actor
         * @description Who did it: a key, a person's session, the local administration socket, or the system itself.
         *
         *         As the actor of an event it also says by what (`via`) and, to admins, from which address (`from`) it was done.
         */
        Actor: {
            id: string;
            name: string;
            /** @enum {unknown} */
            via?: "key" | "local" | "session";
            from?: string;
        };
        /**
         * AgeCount
         * @description How many are at least `fromSeconds` old and less than `toSeconds`; null is without end.
         */
        AgeCount: {
            fromSeconds: number;
            toSeconds: number | null;
            count: number;
        };
        /**
         * Agent
         * @description The chat endpoint of a desktop's agent; `url` is its base address, as in OPENAI_BASE_URL.
         */
        Agent: {
            /** @enum {unknown} */
            kind: "openai" | "openclaw";
            url: string;
            /** @default null */
            model: string | null;
            /**
             * @default ssh
             * @enum {unknown}
             */
            via: "direct" | "ssh";
            /** @default false */
            hasToken: boolean;
        };
        /**
         * AgentAuth
         * @description The SSH agent of the account that the server runs as.
         */
        AgentAuth: {
            /** @enum {unknown} */
            kind: "agent";
        };
        /**
         * AppliedView
         * @description What a command to a batch did: the ids of the tasks it applied to, and those it passed over.
         */
        AppliedView: {
            applied: string[];
            skipped: components["schemas"]["Skipped"][];
        };
        /**
         * Approval
         * @description An approval as it is now.
         */
        Approval: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "approved" | "pending" | "rejected";
            createdAt: string;
            /** @default null */
            resolvedAt: string | null;
            /** @default null */
            resolvedBy: components["schemas"]["Actor"] | null;
            /** @default null */
            feedback: string | null;
            id: string;
        };
        /**
         * ApprovalCreated
         * @description A finished task waits for a decision. The payload is the whole approval.
         */
        ApprovalCreated: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "approved" | "pending" | "rejected";
            createdAt: string;
            /** @default null */
            resolvedAt: string | null;
            /** @default null */
            resolvedBy: components["schemas"]["Actor"] | null;
            /** @default null */
            feedback: string | null;
            approvalId: string;
        };
        /**
         * ApprovalResolved
         * @description A person decided. The payload is the whole approval.
         */
        ApprovalResolved: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "approved" | "pending" | "rejected";
            createdAt: string;
            /** @default null */
            resolvedAt: string | null;
            /** @default null */
            resolvedBy: components["schemas"]["Actor"] | null;
            /** @default null */
            feedback: string | null;
            approvalId: string;
        };
        /**
         * Auth
         * @description How the server signs in; the secret itself is sealed elsewhere.
         */
        Auth: {
            /** @enum {unknown} */
            kind: "agent" | "config" | "key" | "password";
        };
        /**
         * AuthFailed
         * @description Somebody showed a key or link that opens nothing. `count` attempts from one address are one event, and those of
         *         further addresses one without an address, so that nobody can fill the disk with them. Admins see the address.
         */
        AuthFailed: {
            address: string | null;
            /** @enum {unknown} */
            method: "key" | "link";
            count: number;
        };
        /**
         * AuthSignedIn
         * @description A browser session began. The actor says who, and to admins from where, as `userAgent` says with what.
         */
        AuthSignedIn: {
            sessionId: string;
            /** @enum {unknown} */
            method: "key" | "link";
            userAgent: string | null;
            expiresAt: string;
        };
        /**
         * AuthSignedOut
         * @description A browser session was ended; the actor says by whom, `name` whose it was.
         */
        AuthSignedOut: {
            sessionId: string;
            name: string;
        };
        /**
         * BatchCreated
         * @description A new batch with its tasks, in the order given.
         */
        BatchCreated: {
            id: string;
            tasks: components["schemas"]["TaskView"][];
        };
        /**
         * BatchDetail
         * @description A batch, and how it stands on each of its desktops.
         */
        BatchDetail: {
            id: string;
            total: number;
            counts: components["schemas"]["StatusCounts"];
            title: string | null;
            content: string;
            /** @enum {unknown} */
            type: "command" | "prompt";
            createdAt: string;
            createdBy: components["schemas"]["Actor"];
            desktops: components["schemas"]["DesktopCounts"][];
        };
        /**
         * BatchTask
         * @description The task that each of several desktops gets; which ones stands in `desktopIds`.
         */
        BatchTask: {
            /** @enum {unknown} */
            type: "command" | "prompt";
            /** @description UTF-8 without NUL: a command has up to 120000 bytes, a prompt up to 524288. */
            content: string;
            /** @default  */
            desktopId?: string;
            /** @default false */
            requiresApproval?: boolean;
            /** @default null */
            title?: string | null;
            /** @default [] */
            labels?: string[];
            /** @default null */
            timeoutSeconds?: number | null;
            /**
             * @description Up to 32768 bytes in all. Plain: whoever may read tasks reads it.
             * @default {}
             */
            env?: {
                [key: string]: string;
            };
            /**
             * @description Names of secrets. The command gets their values as variables, and they never show in its output.
             * @default []
             */
            secrets?: string[];
            /** @default null */
            cwd?: string | null;
            /** @default false */
            tty?: boolean;
            /** @default false */
            run?: boolean;
        };
        /**
         * BatchView
         * @description A batch: how its tasks stand, archived ones included, and what its first task says about all of them.
         */
        BatchView: {
            id: string;
            total: number;
            counts: components["schemas"]["StatusCounts"];
            title: string | null;
            content: string;
            /** @enum {unknown} */
            type: "command" | "prompt";
            createdAt: string;
            createdBy: components["schemas"]["Actor"];
        };
        /**
         * CheckStep
         * @description One step of a check: `ok` is None when it was not reached, `detail` says what was found or what to do.
         */
        CheckStep: {
            /** @enum {unknown} */
            name: "agent" | "authenticate" | "connect" | "host_key" | "outpost" | "shell";
            ok: boolean | null;
            detail: string;
            ms: number;
        };
        /**
         * CheckView
         * @description What a check found, and the desktop after it.
         */
        CheckView: {
            ok: boolean;
            steps: components["schemas"]["CheckStep"][];
            desktop: components["schemas"]["DesktopView"];
        };
        /**
         * ConfigAuth
         * @description What `~/.ssh/config` of the account that the server runs as says for this host alias.
         */
        ConfigAuth: {
            /** @enum {unknown} */
            kind: "config";
        };
        /**
         * DesktopAgentReady
         * @description Its agent became ready, or stopped being so.
         */
        DesktopAgentReady: {
            desktopId: string;
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            version: number;
            error?: components["schemas"]["Error"] | null;
            /** @enum {unknown} */
            link?: "down" | "reconnecting" | "up";
            nextTryAt?: string | null;
            lastSeenAt?: string | null;
            ipAddress?: string | null;
            agentReady?: boolean;
        };
        /**
         * DesktopCounts
         * @description How the tasks of a batch stand on one desktop.
         */
        DesktopCounts: {
            desktopId: string;
            counts: components["schemas"]["StatusCounts"];
        };
        /**
         * DesktopCreated
         * @description A desktop was added. The payload is the whole desktop.
         */
        DesktopCreated: {
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            createdAt: string;
            ssh: components["schemas"]["Ssh"];
            /** @default null */
            agent: components["schemas"]["Agent"] | null;
            /** @default false */
            agentReady: boolean;
            /** @default [] */
            labels: string[];
            maxConcurrentTasks: number;
            /** @default null */
            ipAddress: string | null;
            /** @default null */
            tier: null;
            /** @default false */
            keepAlive: boolean;
            /**
             * @default down
             * @enum {unknown}
             */
            link: "down" | "reconnecting" | "up";
            /** @default null */
            nextTryAt: string | null;
            /** @default false */
            durable: boolean;
            /** @default null */
            notDurableBecause: string | null;
            /** @default null */
            outpost: components["schemas"]["OutpostFacts"] | null;
            /**
             * @default {
             *       "python": "python3",
             *       "directory": null
             *     }
             */
            outpostOptions: components["schemas"]["OutpostOptions"];
            /** @default null */
            os: string | null;
            /** @default null */
            lastSeenAt: string | null;
            /** @default null */
            error: components["schemas"]["Error"] | null;
            /** @default null */
            removedAt: string | null;
            /** @default 1 */
            version: number;
            desktopId: string;
        };
        /**
         * DesktopEdit
         * @description What may be changed; absent fields stay.
         */
        DesktopEdit: {
            name?: string;
            ssh?: components["schemas"]["SshEdit"];
            agent?: components["schemas"]["NewAgent"] | null;
            labels?: string[];
            maxConcurrentTasks?: number;
            outpost?: components["schemas"]["NewOutpost"];
        };
        /**
         * DesktopError
         * @description It cannot be used, and `error` says why and what to do.
         */
        DesktopError: {
            desktopId: string;
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            version: number;
            error?: components["schemas"]["Error"] | null;
            /** @enum {unknown} */
            link?: "down" | "reconnecting" | "up";
            nextTryAt?: string | null;
            lastSeenAt?: string | null;
            ipAddress?: string | null;
            agentReady?: boolean;
        };
        /**
         * DesktopLink
         * @description The connection to it came, went, or is being tried again.
         */
        DesktopLink: {
            desktopId: string;
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            version: number;
            error?: components["schemas"]["Error"] | null;
            /** @enum {unknown} */
            link?: "down" | "reconnecting" | "up";
            nextTryAt?: string | null;
            lastSeenAt?: string | null;
            ipAddress?: string | null;
            agentReady?: boolean;
            durable?: boolean;
            notDurableBecause?: string | null;
            os?: string | null;
            outpost?: components["schemas"]["OutpostFacts"] | null;
        };
        /**
         * DesktopRemoved
         * @description It is gone from the fleet; its history stays readable.
         */
        DesktopRemoved: {
            desktopId: string;
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            version: number;
            error?: components["schemas"]["Error"] | null;
            /** @enum {unknown} */
            link?: "down" | "reconnecting" | "up";
            nextTryAt?: string | null;
            lastSeenAt?: string | null;
            ipAddress?: string | null;
            agentReady?: boolean;
            removedAt: string;
        };
        /**
         * DesktopStarted
         * @description It can be used: connected, authenticated, and its shell answers.
         */
        DesktopStarted: {
            desktopId: string;
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            version: number;
            error?: components["schemas"]["Error"] | null;
            /** @enum {unknown} */
            link?: "down" | "reconnecting" | "up";
            nextTryAt?: string | null;
            lastSeenAt?: string | null;
            ipAddress?: string | null;
            agentReady?: boolean;
            durable?: boolean;
            notDurableBecause?: string | null;
            os?: string | null;
            outpost?: components["schemas"]["OutpostFacts"] | null;
        };
        /**
         * DesktopStopped
         * @description A person took it out of service.
         */
        DesktopStopped: {
            desktopId: string;
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            version: number;
            error?: components["schemas"]["Error"] | null;
            /** @enum {unknown} */
            link?: "down" | "reconnecting" | "up";
            nextTryAt?: string | null;
            lastSeenAt?: string | null;
            ipAddress?: string | null;
            agentReady?: boolean;
        };
        /**
         * DesktopUpdated
         * @description Its description changed.
         */
        DesktopUpdated: {
            desktopId: string;
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            version: number;
            error?: components["schemas"]["Error"] | null;
            /** @enum {unknown} */
            link?: "down" | "reconnecting" | "up";
            nextTryAt?: string | null;
            lastSeenAt?: string | null;
            ipAddress?: string | null;
            agentReady?: boolean;
            ssh?: components["schemas"]["Ssh"];
            agent?: components["schemas"]["Agent"] | null;
            labels?: string[];
            maxConcurrentTasks?: number;
            outpostOptions?: components["schemas"]["OutpostOptions"];
        };
        /**
         * DesktopView
         * @description A desktop with its newest metrics; null while they are unknown.
         */
        DesktopView: {
            name: string;
            /** @enum {unknown} */
            status: "booting" | "error" | "pending" | "running" | "stopped";
            createdAt: string;
            ssh: components["schemas"]["Ssh"];
            /** @default null */
            agent: components["schemas"]["Agent"] | null;
            /** @default false */
            agentReady: boolean;
            /** @default [] */
            labels: string[];
            maxConcurrentTasks: number;
            /** @default null */
            ipAddress: string | null;
            /** @default null */
            tier: null;
            /** @default false */
            keepAlive: boolean;
            /**
             * @default down
             * @enum {unknown}
             */
            link: "down" | "reconnecting" | "up";
            /** @default null */
            nextTryAt: string | null;
            /** @default false */
            durable: boolean;
            /** @default null */
            notDurableBecause: string | null;
            /** @default null */
            outpost: components["schemas"]["OutpostFacts"] | null;
            /**
             * @default {
             *       "python": "python3",
             *       "directory": null
             *     }
             */
            outpostOptions: components["schemas"]["OutpostOptions"];
            /** @default null */
            os: string | null;
            /** @default null */
            lastSeenAt: string | null;
            /** @default null */
            error: components["schemas"]["Error"] | null;
            /** @default null */
            removedAt: string | null;
            /** @default 1 */
            version: number;
            id: string;
            /** @default null */
            metrics: components["schemas"]["Metrics"] | null;
        };
        /**
         * Durations
         * @description How long (ms) tasks ran that are done: half of them at most `p50`, nine of ten at most `p90`, and so on.
         */
        Durations: {
            count: number;
            mean: number;
            p50: number;
            p90: number;
            p99: number;
            max: number;
        };
        /**
         * Envelope
         * @description An event of the log, in the envelope that it has everywhere. `payload` is described by its type.
         */
        Envelope: {
            seq: number;
            at: string;
            type: string;
            actor: components["schemas"]["Actor"];
            payload: Record<string, never>;
        };
        /**
         * Error
         * @description Why something failed: a stable code, and a sentence that says what happened and what to do.
         */
        Error: {
            code: string;
            message: string;
        };
        /** @description The payload of each event, by its type. */
        EventPayloads: {
            "task.created"?: components["schemas"]["TaskCreated"];
            "task.updated"?: components["schemas"]["TaskUpdated"];
            "task.started"?: components["schemas"]["TaskStarted"];
            "task.phase"?: components["schemas"]["TaskPhase"];
            "task.cancelRequested"?: components["schemas"]["TaskCancelRequested"];
            "task.review"?: components["schemas"]["TaskReview"];
            "task.completed"?: components["schemas"]["TaskCompleted"];
            "task.failed"?: components["schemas"]["TaskFailed"];
            "task.cancelled"?: components["schemas"]["TaskCancelled"];
            "task.archived"?: components["schemas"]["TaskArchived"];
            "task.note"?: components["schemas"]["TaskNote"];
            "task.output"?: components["schemas"]["TaskOutput"];
            "task.outputGap"?: components["schemas"]["TaskOutputGap"];
            "task.outputRemoved"?: components["schemas"]["TaskOutputRemoved"];
            "task.response"?: components["schemas"]["TaskResponse"];
            "task.progress"?: components["schemas"]["TaskProgress"];
            "approval.created"?: components["schemas"]["ApprovalCreated"];
            "approval.resolved"?: components["schemas"]["ApprovalResolved"];
            "desktop.created"?: components["schemas"]["DesktopCreated"];
            "desktop.updated"?: components["schemas"]["DesktopUpdated"];
            "desktop.started"?: components["schemas"]["DesktopStarted"];
            "desktop.stopped"?: components["schemas"]["DesktopStopped"];
            "desktop.error"?: components["schemas"]["DesktopError"];
            "desktop.link"?: components["schemas"]["DesktopLink"];
            "desktop.agentReady"?: components["schemas"]["DesktopAgentReady"];
            "desktop.removed"?: components["schemas"]["DesktopRemoved"];
            "knownHost.added"?: components["schemas"]["KnownHostAdded"];
            "knownHost.removed"?: components["schemas"]["KnownHostRemoved"];
            "settings.updated"?: components["schemas"]["SettingsUpdated"];
            "secret.created"?: components["schemas"]["SecretCreated"];
            "secret.updated"?: components["schemas"]["SecretUpdated"];
            "secret.removed"?: components["schemas"]["SecretRemoved"];
            "sealKey.changed"?: components["schemas"]["SealKeyChanged"];
            "key.created"?: components["schemas"]["KeyCreated"];
            "key.revoked"?: components["schemas"]["KeyRevoked"];
            "auth.signedIn"?: components["schemas"]["AuthSignedIn"];
            "auth.signedOut"?: components["schemas"]["AuthSignedOut"];
            "auth.failed"?: components["schemas"]["AuthFailed"];
        };
        /**
         * Failing
         * @description What failed `count` times: the beginning of its content, and the newest task of it.
         */
        Failing: {
            content: string;
            /** @enum {unknown} */
            type: "command" | "prompt";
            count: number;
            taskId: string;
            endedAt: string;
        };
        /**
         * Found
         * @description Which lines have it. `total` counts all from the first to `scannedTo`, `lines` are the first of them.
         *
         *         `complete` says that there is nothing more to look at now; else ask on from `scannedTo`.
         */
        Found: {
            total: number;
            lines: number[];
            scannedTo: number;
            complete: boolean;
        };
        /**
         * Head
         * @description The newest event of a log: its position, its time, and the chain's digest in hexadecimal.
         */
        Head: {
            seq: number;
            at: string | null;
            chain: string;
            logId: string;
        };
        /**
         * Health
         * @description `ok`, as long as this can be answered at all.
         */
        Health: {
            /** @default ok */
            status: string;
        };
        /**
         * HostKey
         * @description A host key as the host offers it; `public_key` is its line as in known_hosts, without the host.
         */
        HostKey: {
            type: string;
            fingerprint: string;
            publicKey: string;
        };
        /**
         * Hour
         * @description How many tasks ended within an hour that begins at `hour`.
         */
        Hour: {
            hour: string;
            /** @default 0 */
            done: number;
            /** @default 0 */
            failed: number;
            /** @default 0 */
            cancelled: number;
        };
        /**
         * KeyAuth
         * @description A private key in OpenSSH or PEM form, and where its hosts want one, the certificate (`…-cert.pub`) that goes
         *         with it.
         */
        KeyAuth: {
            /** @enum {unknown} */
            kind: "key";
            privateKey: string;
            /** @default null */
            passphrase?: string | null;
            /** @default null */
            certificate?: string | null;
        };
        /**
         * KeyChangeView
         * @description How many sealed secrets, of whatever kind, were sealed anew.
         */
        KeyChangeView: {
            secrets: number;
        };
        /**
         * KeyCreated
         * @description A key was made; neither the key nor its digest is in the log.
         */
        KeyCreated: {
            keyId: string;
            name: string;
            /** @enum {unknown} */
            role: "admin" | "operator" | "viewer";
            last4: string;
            /** @default [] */
            desktopLabels: string[];
            createdAt: string;
            expiresAt: string | null;
        };
        /**
         * KeyRevoked
         * @description A key no longer opens anything; sessions that began by it have ended with it.
         */
        KeyRevoked: {
            keyId: string;
            revokedAt: string;
        };
        /**
         * KeyView
         * @description An API key, masked. With `desktopLabels` it reaches only the desktops that carry one of them.
         */
        KeyView: {
            id: string;
            name: string;
            /** @enum {unknown} */
            role: "admin" | "operator" | "viewer";
            desktopLabels: string[];
            key: string;
            last4: string;
            createdAt: string;
            expiresAt: string | null;
            /** @default null */
            lastUsedAt: string | null;
            /** @default null */
            lastUsedFrom: string | null;
        };
        /**
         * KnownHost
         * @description A line of the fleet's known_hosts, with its marker.
         */
        KnownHost: {
            /** @enum {unknown} */
            marker: "cert-authority" | "revoked";
            hosts: string[];
            publicKey: string;
            fingerprint: string;
            createdAt: string;
            createdBy: components["schemas"]["Actor"];
            id: string;
        };
        /**
         * KnownHostAdded
         * @description An authority is trusted, or a key is not, for all desktops that match. The payload is the whole known host.
         */
        KnownHostAdded: {
            /** @enum {unknown} */
            marker: "cert-authority" | "revoked";
            hosts: string[];
            publicKey: string;
            fingerprint: string;
            createdAt: string;
            createdBy: components["schemas"]["Actor"];
            knownHostId: string;
        };
        /**
         * KnownHostRemoved
         * @description That does not hold any more; the payload repeats what it was.
         */
        KnownHostRemoved: {
            knownHostId: string;
            /** @enum {unknown} */
            marker: "cert-authority" | "revoked";
            hosts: string[];
            fingerprint: string;
            removedAt: string;
        };
        /**
         * LeftRunning
         * @description A process that outlived its command on the desktop.
         */
        LeftRunning: {
            pid: number;
            user: string;
            command: string;
        };
        /**
         * Me
         * @description Who asks, and what they ask.
         */
        Me: {
            id: string;
            name: string;
            /** @enum {unknown} */
            kind: "key" | "local" | "session";
            /** @enum {unknown} */
            role: "admin" | "operator" | "viewer";
            /** @default [] */
            desktopLabels: string[];
            /** @default null */
            sessionId: string | null;
            serverId: string;
            logId: string;
            version: string;
        };
        /**
         * Metrics
         * @description The newest figures of a desktop, by its id; None is unknown.
         *
         *         `cpu`, `memory` and `disk` are shares in use from 0 to 1, `load` is the load average over one minute, `runs` counts
         *         what the outpost keeps alive there.
         */
        Metrics: {
            id: string;
            /** @default null */
            cpu: number | null;
            /** @default null */
            memory: number | null;
            /** @default null */
            disk: number | null;
            /** @default null */
            load: number | null;
            /** @default null */
            runs: number | null;
        };
        /**
         * NewAgent
         * @description The chat endpoint of its agent.
         */
        NewAgent: {
            /** @enum {unknown} */
            kind: "openai" | "openclaw";
            url: string;
            /** @default null */
            token?: string | null;
            /** @default null */
            model?: string | null;
            /**
             * @default ssh
             * @enum {unknown}
             */
            via?: "direct" | "ssh";
        };
        /**
         * NewBatch
         * @description Tasks that belong together: a list of them, or one for each of several desktops. `run` starts them all.
         */
        NewBatch: {
            /** @default null */
            tasks?: components["schemas"]["NewTask"][] | null;
            /** @default null */
            task?: components["schemas"]["BatchTask"] | null;
            /** @default null */
            desktopIds?: string[] | null;
            /** @default false */
            run?: boolean;
        } & ({
            tasks: unknown[];
            task?: null;
            desktopIds?: null;
        } | {
            tasks?: null;
            task: Record<string, never>;
            desktopIds: unknown[];
        });
        /**
         * NewDesktop
         * @description What a person or a script gives to add a desktop.
         */
        NewDesktop: {
            name: string;
            ssh: components["schemas"]["NewSsh"];
            /** @default null */
            agent?: components["schemas"]["NewAgent"] | null;
            /** @default [] */
            labels?: string[];
            /** @default 4 */
            maxConcurrentTasks?: number;
            /**
             * @default {
             *       "python": "python3",
             *       "directory": null
             *     }
             */
            outpost?: components["schemas"]["NewOutpost"];
        };
        /**
         * NewKey
         * @description What a person gives to make a key.
         */
        NewKey: {
            name: string;
            /**
             * @default operator
             * @enum {unknown}
             */
            role?: "admin" | "operator" | "viewer";
            /** @default null */
            expiresAt?: string | null;
            /** @default [] */
            desktopLabels?: string[];
        };
        /**
         * NewKnownHost
         * @description A key, and for which hosts it is an authority or is revoked.
         */
        NewKnownHost: {
            /** @enum {unknown} */
            marker: "cert-authority" | "revoked";
            /** @description As in known_hosts: `*` and `?` stand for any characters and for one, `!` excludes, and `[host]:port` is for that port only. */
            hosts: string[];
            /** @description As in a .pub file, without its comment. */
            publicKey: string;
        };
        /**
         * NewOutpost
         * @description How its outpost is started, where the usual way does not do: another Python, another place for its files.
         */
        NewOutpost: {
            /** @default python3 */
            python?: string;
            /** @default null */
            directory?: string | null;
        };
        /**
         * NewSecret
         * @description A secret as a person gives it; the value is never answered again.
         */
        NewSecret: {
            name: string;
            /** @description Up to 32768 bytes of UTF-8 without NUL, and at least 6 characters beside the white space around it. */
            value: string;
        };
        /**
         * NewSsh
         * @description Where a desktop is. It is trusted by the fingerprint of its host key, or because `hostAuthority` signed it.
         *
         *         `jump` is the id of another desktop through which the way leads.
         */
        NewSsh: {
            host: string;
            /** @default 22 */
            port?: number;
            /** @default null */
            username?: string | null;
            /** @default null */
            hostKeyFingerprint?: string | null;
            /** @default null */
            hostAuthority?: string | null;
            /** @default [] */
            revokedHostKeys?: string[];
            /** @default null */
            jump?: string | null;
            auth: components["schemas"]["KeyAuth"] | components["schemas"]["PasswordAuth"] | components["schemas"]["AgentAuth"] | components["schemas"]["ConfigAuth"];
        };
        /**
         * NewTask
         * @description What a person or a script asks for.
         */
        NewTask: {
            /** @enum {unknown} */
            type: "command" | "prompt";
            /** @description UTF-8 without NUL: a command has up to 120000 bytes, a prompt up to 524288. */
            content: string;
            desktopId: string;
            /** @default false */
            requiresApproval?: boolean;
            /** @default null */
            title?: string | null;
            /** @default [] */
            labels?: string[];
            /** @default null */
            timeoutSeconds?: number | null;
            /**
             * @description Up to 32768 bytes in all. Plain: whoever may read tasks reads it.
             * @default {}
             */
            env?: {
                [key: string]: string;
            };
            /**
             * @description Names of secrets. The command gets their values as variables, and they never show in its output.
             * @default []
             */
            secrets?: string[];
            /** @default null */
            cwd?: string | null;
            /** @default false */
            tty?: boolean;
            /** @default false */
            run?: boolean;
        };
        /**
         * OutpostFacts
         * @description What keeps runs alive on the desktop, as it said when it was attached. `warning` says what may still end it.
         */
        OutpostFacts: {
            version: string;
            python: string;
            directory: string;
            /** @default null */
            warning: string | null;
        };
        /**
         * OutpostOptions
         * @description How the outpost of a desktop is started: its interpreter, and where its files are (None: the usual place).
         */
        OutpostOptions: {
            /** @default python3 */
            python: string;
            /** @default null */
            directory: string | null;
        };
        /**
         * Overview
         * @description The fleet in figures, over the hours that were asked for.
         *
         *         `counts` are the tasks on the board. `completionRate` is the share of the tasks that ended within the hours and are
         *         done, `meanDurationMs` how long those ran; null when none ended. `cpu` and `memory` are means over the running
         *         desktops that report them, from 0 to 1. `throughput` are the hours of the clock, oldest first. `durations` and
         *         `failing` look at no more than the newest 2,000 tasks of their kind.
         */
        Overview: {
            counts: components["schemas"]["StatusCounts"];
            completionRate: number | null;
            meanDurationMs: number | null;
            durations: components["schemas"]["Durations"] | null;
            waiting: components["schemas"]["WaitingApprovals"];
            failing: components["schemas"]["Failing"][];
            activeDesktops: number;
            desktops: number;
            cpu: number | null;
            memory: number | null;
            throughput: components["schemas"]["Hour"][];
        };
        /**
         * PasswordAuth
         * @description A password of the account.
         */
        PasswordAuth: {
            /** @enum {unknown} */
            kind: "password";
            password: string;
        };
        /**
         * PlanItem
         * @description One step of an agent's plan.
         */
        PlanItem: {
            step: string;
            /**
             * @default pending
             * @enum {unknown}
             */
            status: "completed" | "in_progress" | "pending";
        };
        /**
         * Problem
         * @description An error. `code` is stable, for scripts; `detail` says what to do, for people.
         */
        Problem: {
            type: string;
            title: string;
            status: number;
            code: string;
            detail: string;
            errors?: components["schemas"]["ProblemField"][];
        };
        /**
         * ProblemField
         * @description What is wrong with one field; `pointer` is a JSON pointer into the body, or `/name` of a query parameter.
         */
        ProblemField: {
            pointer: string;
            message: string;
        };
        /**
         * Review
         * @description A person's decision; with `retry`, a rejection makes a follow-up task that carries the feedback.
         */
        Review: {
            /** @enum {unknown} */
            decision: "approve" | "reject";
            /** @default null */
            feedback?: string | null;
            /** @default false */
            retry?: boolean;
        };
        /**
         * SealKeyChanged
         * @description So many sealed secrets, of whatever kind, were sealed anew with another key.
         */
        SealKeyChanged: {
            secrets: number;
        };
        /**
         * Secret
         * @description A named secret as it is now. Its name is that of the variable in which a command gets it.
         */
        Secret: {
            createdAt: string;
            createdBy: components["schemas"]["Actor"];
            updatedAt: string;
            updatedBy: components["schemas"]["Actor"];
            name: string;
        };
        /**
         * SecretCreated
         * @description A named secret was made; its value is not in the log. The payload is all that may be known of it.
         */
        SecretCreated: {
            createdAt: string;
            createdBy: components["schemas"]["Actor"];
            updatedAt: string;
            updatedBy: components["schemas"]["Actor"];
            secretName: string;
        };
        /**
         * SecretEdit
         * @description Another value for a secret.
         */
        SecretEdit: {
            /** @description Up to 32768 bytes of UTF-8 without NUL, and at least 6 characters beside the white space around it. */
            value: string;
        };
        /**
         * SecretRemoved
         * @description A named secret is gone, with its value.
         */
        SecretRemoved: {
            secretName: string;
            removedAt: string;
        };
        /**
         * SecretUpdated
         * @description A named secret got another value. The payload is as when it was made.
         */
        SecretUpdated: {
            createdAt: string;
            createdBy: components["schemas"]["Actor"];
            updatedAt: string;
            updatedBy: components["schemas"]["Actor"];
            secretName: string;
        };
        /**
         * SessionView
         * @description A signed-in browser; `current` is the one that asks.
         */
        SessionView: {
            id: string;
            actor: components["schemas"]["Actor"];
            /** @enum {unknown} */
            role: "admin" | "operator" | "viewer";
            keyId: string | null;
            /** @enum {unknown} */
            method: "key" | "link";
            createdAt: string;
            lastUsedAt: string;
            expiresAt: string;
            address: string | null;
            userAgent: string | null;
            current: boolean;
        };
        /**
         * Settings
         * @description What people change at run time.
         */
        Settings: {
            /** @default false */
            taskApprovalMode: boolean;
        };
        /**
         * SettingsEdit
         * @description Changes; absent fields stay.
         */
        SettingsEdit: {
            taskApprovalMode?: boolean;
        };
        /**
         * SettingsUpdated
         * @description The payload is all settings as they now are.
         */
        SettingsUpdated: {
            /** @default false */
            taskApprovalMode: boolean;
        };
        /**
         * Show
         * @description Say which tasks a subscription with `output: "tail"` shows: tails come for these only, beginning with their last
         *         lines. Each message replaces the one before; null is every task.
         */
        Show: {
            /** @enum {unknown} */
            op: "show";
            id: string;
            taskIds: string[] | null;
        };
        /**
         * SignIn
         * @description An API key, or the token of a one-time link.
         */
        SignIn: {
            /** @default null */
            key?: string | null;
            /** @default null */
            link?: string | null;
        } & ({
            key: string;
            link?: null;
        } | {
            key?: null;
            link: string;
        });
        /**
         * SignInLink
         * @description A link that signs in once, for ten minutes.
         */
        SignInLink: {
            url: string;
            token: string;
        };
        /**
         * Skipped
         * @description A task that a command passed over, and why: a code of the error table, or `nothing_to_do`.
         */
        Skipped: {
            taskId: string;
            code: string;
        };
        /**
         * Ssh
         * @description Where and how a desktop is reached.
         *
         *         It proves itself by the pinned `hostKey`, or else by a certificate for its name of `hostAuthority`, or where it has
         *         none, of one of `fleetAuthorities`; never by one of `revokedHostKeys` or `fleetRevokedKeys`. Those of the fleet are
         *         what its known hosts say of this address. `offeredHostKeys` is what it showed at first. `jump` is the desktop that
         *         the way leads through.
         */
        Ssh: {
            host: string;
            port: number;
            username: string | null;
            auth: components["schemas"]["Auth"];
            /** @default null */
            hostKeyFingerprint: string | null;
            /** @default null */
            hostKey: string | null;
            /** @default [] */
            offeredFingerprints: string[];
            /** @default [] */
            offeredHostKeys: components["schemas"]["HostKey"][];
            /** @default null */
            hostAuthority: string | null;
            /** @default [] */
            revokedHostKeys: string[];
            /** @default [] */
            fleetAuthorities: string[];
            /** @default [] */
            fleetRevokedKeys: string[];
            /** @default null */
            jump: string | null;
        };
        /**
         * SshEdit
         * @description Changes of the address or sign-in; absent fields stay. A confirmed fingerprint takes the place of an authority,
         *         and an authority that of a fingerprint.
         */
        SshEdit: {
            host?: string;
            port?: number;
            username?: string | null;
            hostKeyFingerprint?: string;
            hostAuthority?: string | null;
            revokedHostKeys?: string[];
            jump?: string | null;
            auth?: components["schemas"]["KeyAuth"] | components["schemas"]["PasswordAuth"] | components["schemas"]["AgentAuth"] | components["schemas"]["ConfigAuth"];
        };
        /**
         * StatusCounts
         * @description How many tasks there are of each status.
         */
        StatusCounts: {
            /** @default 0 */
            pending: number;
            /** @default 0 */
            running: number;
            /** @default 0 */
            review: number;
            /** @default 0 */
            done: number;
            /** @default 0 */
            failed: number;
            /** @default 0 */
            cancelled: number;
        };
        /**
         * StreamSums
         * @description What one stream of a run was in all, as it was counted at the command's pipe.
         */
        StreamSums: {
            bytes: number;
            crc: number;
            sha256: string;
        };
        /**
         * Subscribe
         * @description Begin to follow the log from after a position; without one, from now.
         */
        Subscribe: {
            /** @enum {unknown} */
            op: "subscribe";
            id: string;
            /** @default null */
            after?: number | null;
            /** @default null */
            logId?: string | null;
            /** @default null */
            types?: string[] | null;
            /** @default null */
            taskId?: string | null;
            /** @default null */
            desktopId?: string | null;
            /**
             * @default full
             * @enum {unknown}
             */
            output?: "full" | "none" | "tail";
            /** @default 200 */
            tailLines?: number;
            /** @default false */
            metrics?: boolean;
        };
        /**
         * TaskArchived
         * @description Hidden from lists; the log keeps it.
         */
        TaskArchived: {
            taskId: string;
            desktopId: string;
            version: number;
            /** @default true */
            archived: boolean;
        };
        /**
         * TaskCancelRequested
         * @description Somebody wants a running task to end; it ends as cancelled when the desktop says so.
         */
        TaskCancelRequested: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            cancelRequestedAt: string;
        };
        /**
         * TaskCancelled
         * @description Cancelled by hand before completion.
         */
        TaskCancelled: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            completedAt: string | null;
            /** @default null */
            phase: null;
            executedAt?: string;
            exitCode?: number | null;
            signal?: string | null;
            durationMs?: number | null;
            error?: components["schemas"]["Error"] | null;
            result?: string | null;
            usage?: components["schemas"]["Usage"] | null;
            leftRunning?: components["schemas"]["LeftRunning"][] | null;
            streams?: {
                [key: string]: components["schemas"]["StreamSums"];
            };
            maskedCount?: number;
            feedback?: string | null;
        };
        /**
         * TaskCompleted
         * @description Done: it ran successfully, or a person approved it.
         */
        TaskCompleted: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            completedAt: string | null;
            /** @default null */
            phase: null;
            executedAt?: string;
            exitCode?: number | null;
            signal?: string | null;
            durationMs?: number | null;
            error?: components["schemas"]["Error"] | null;
            result?: string | null;
            usage?: components["schemas"]["Usage"] | null;
            leftRunning?: components["schemas"]["LeftRunning"][] | null;
            streams?: {
                [key: string]: components["schemas"]["StreamSums"];
            };
            maskedCount?: number;
            feedback?: string | null;
        };
        /**
         * TaskCreated
         * @description A task exists, in pending. The payload is the whole task.
         */
        TaskCreated: {
            /** @enum {unknown} */
            type: "command" | "prompt";
            content: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            desktopId: string;
            requiresApproval: boolean;
            createdAt: string;
            /** @default null */
            startedAt: string | null;
            /** @default null */
            completedAt: string | null;
            /** @default null */
            phase: ("draining" | "queued" | "starting" | "streaming") | null;
            /** @default null */
            executedAt: string | null;
            /** @default null */
            cancelRequestedAt: string | null;
            /** @default null */
            instanceId: string | null;
            /** @default null */
            bootId: string | null;
            /** @default 0 */
            attempt: number;
            /** @default null */
            durationMs: number | null;
            /** @default null */
            title: string | null;
            /** @default [] */
            labels: string[];
            /** @default null */
            batchId: string | null;
            /** @default null */
            retryOf: string | null;
            /** @default null */
            sessionId: string | null;
            /** @default null */
            exitCode: number | null;
            /** @default null */
            signal: string | null;
            /** @default null */
            leftRunning: components["schemas"]["LeftRunning"][] | null;
            /** @default null */
            error: components["schemas"]["Error"] | null;
            /** @default null */
            result: string | null;
            /** @default null */
            feedback: string | null;
            /** @default null */
            timeoutSeconds: number | null;
            /** @default {} */
            env: {
                [key: string]: string;
            };
            /** @default [] */
            secrets: string[];
            /** @default null */
            cwd: string | null;
            /** @default false */
            tty: boolean;
            /** @default 0 */
            maskedCount: number;
            /** @default null */
            usage: components["schemas"]["Usage"] | null;
            createdBy: components["schemas"]["Actor"];
            /** @default false */
            archived: boolean;
            /** @default null */
            outputRemovedAt: string | null;
            /** @default 1 */
            version: number;
            taskId: string;
        };
        /**
         * TaskEdit
         * @description What may be changed while a task is pending; absent fields stay.
         */
        TaskEdit: {
            /** @description UTF-8 without NUL: a command has up to 120000 bytes, a prompt up to 524288. */
            content?: string;
            desktopId?: string;
            requiresApproval?: boolean;
            title?: string | null;
            labels?: string[];
            timeoutSeconds?: number | null;
            /** @description Up to 32768 bytes in all. Plain: whoever may read tasks reads it. */
            env?: {
                [key: string]: string;
            };
            /** @description Names of secrets. The command gets their values as variables, and they never show in its output. */
            secrets?: string[];
            cwd?: string | null;
            tty?: boolean;
        };
        /**
         * TaskFailed
         * @description Failed: it errored during execution, or a person rejected it.
         */
        TaskFailed: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            completedAt: string | null;
            /** @default null */
            phase: null;
            executedAt?: string;
            exitCode?: number | null;
            signal?: string | null;
            durationMs?: number | null;
            error?: components["schemas"]["Error"] | null;
            result?: string | null;
            usage?: components["schemas"]["Usage"] | null;
            leftRunning?: components["schemas"]["LeftRunning"][] | null;
            streams?: {
                [key: string]: components["schemas"]["StreamSums"];
            };
            maskedCount?: number;
            feedback?: string | null;
        };
        /**
         * TaskNote
         * @description Something worth knowing about a task that does not change its state.
         */
        TaskNote: {
            taskId: string;
            desktopId: string;
            text: string;
        };
        /**
         * TaskOutput
         * @description A piece of what the run wrote. `position`, `offset` and `length` count raw bytes, of the run and of the stream.
         *
         *         `line` is the number of display lines before it, `lineBytes` how long the line is already that it goes on with,
         *         `ms` milliseconds since the run began, `crc` the running CRC-32 of the raw stream after it. The bytes are in `text`,
         *         or in `base64` where they are not valid UTF-8. `masked` tells where in the stream secrets stood, as offset and
         *         length: there, a `*` stands for each byte but line ends. `late` marks what came after the task had failed because
         *         its desktop was away.
         */
        TaskOutput: {
            taskId: string;
            /** @enum {unknown} */
            stream: "response" | "stderr" | "stdout";
            position: number;
            offset: number;
            length: number;
            line: number;
            ms: number;
            crc: number;
            lineBytes?: number;
            text?: string;
            base64?: string;
            masked?: [
                number,
                number
            ][];
            late?: boolean;
        };
        /**
         * TaskOutputGap
         * @description Bytes of the run that are known to be lost, as positions of the run; `streams` are the offsets behind them.
         */
        TaskOutputGap: {
            taskId: string;
            from: number;
            to: number;
            reason: string;
            /** @default {} */
            streams: {
                [key: string]: number;
            };
        };
        /**
         * TaskOutputRemoved
         * @description A person removed what was recorded of its runs; `bytes` and `lines` say how much that was. The payloads of its
         *         output, progress and responses are gone from the log, while their digests stay.
         */
        TaskOutputRemoved: {
            taskId: string;
            desktopId: string;
            version: number;
            outputRemovedAt: string;
            bytes: number;
            lines: number;
        };
        /**
         * TaskPhase
         * @description What people wait for while it runs. Before anything is sent to an outpost the log has `starting` with the outpost
         *         that will be asked; a further `attempt` of a prompt may keep the phase that it is in.
         */
        TaskPhase: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            /** @enum {unknown} */
            phase: "draining" | "queued" | "starting" | "streaming";
            executedAt?: string;
            instanceId?: string;
            bootId?: string;
            attempt?: number;
        };
        /**
         * TaskProgress
         * @description What the agent does, derived from its answer.
         */
        TaskProgress: {
            /** @enum {unknown} */
            kind: "notice" | "plan" | "reasoning" | "text" | "tool.finished" | "tool.output" | "tool.started" | "usage";
            upTo: number;
            text?: string;
            held?: number;
            callId?: string;
            name?: string;
            input?: string;
            output?: string;
            items?: components["schemas"]["PlanItem"][];
            usage?: components["schemas"]["Usage"];
            taskId: string;
        };
        /**
         * TaskResponse
         * @description The head of an agent endpoint's answer, ahead of its body.
         */
        TaskResponse: {
            taskId: string;
            status: number;
            contentType: string | null;
            retryAfter: string | null;
        };
        /**
         * TaskReview
         * @description The run succeeded and waits for a person's decision.
         */
        TaskReview: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            completedAt: string | null;
            /** @default null */
            phase: null;
            executedAt?: string;
            exitCode?: number | null;
            signal?: string | null;
            durationMs?: number | null;
            error?: components["schemas"]["Error"] | null;
            result?: string | null;
            usage?: components["schemas"]["Usage"] | null;
            leftRunning?: components["schemas"]["LeftRunning"][] | null;
            streams?: {
                [key: string]: components["schemas"]["StreamSums"];
            };
            maskedCount?: number;
            feedback?: string | null;
        };
        /**
         * TaskStarted
         * @description Somebody ran it; it waits for a place on its desktop.
         */
        TaskStarted: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            /** @enum {unknown} */
            phase: "draining" | "queued" | "starting" | "streaming";
            startedAt: string;
        };
        /**
         * TaskUpdated
         * @description A pending task was edited.
         */
        TaskUpdated: {
            taskId: string;
            desktopId: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            version: number;
            content?: string;
            title?: string | null;
            labels?: string[];
            requiresApproval?: boolean;
            timeoutSeconds?: number | null;
            env?: {
                [key: string]: string;
            };
            secrets?: string[];
            cwd?: string | null;
            tty?: boolean;
        };
        /**
         * TaskView
         * @description A task, and how much output of it is recorded.
         */
        TaskView: {
            /** @enum {unknown} */
            type: "command" | "prompt";
            content: string;
            /** @enum {unknown} */
            status: "cancelled" | "done" | "failed" | "pending" | "review" | "running";
            desktopId: string;
            requiresApproval: boolean;
            createdAt: string;
            /** @default null */
            startedAt: string | null;
            /** @default null */
            completedAt: string | null;
            /** @default null */
            phase: ("draining" | "queued" | "starting" | "streaming") | null;
            /** @default null */
            executedAt: string | null;
            /** @default null */
            cancelRequestedAt: string | null;
            /** @default null */
            instanceId: string | null;
            /** @default null */
            bootId: string | null;
            /** @default 0 */
            attempt: number;
            /** @default null */
            durationMs: number | null;
            /** @default null */
            title: string | null;
            /** @default [] */
            labels: string[];
            /** @default null */
            batchId: string | null;
            /** @default null */
            retryOf: string | null;
            /** @default null */
            sessionId: string | null;
            /** @default null */
            exitCode: number | null;
            /** @default null */
            signal: string | null;
            /** @default null */
            leftRunning: components["schemas"]["LeftRunning"][] | null;
            /** @default null */
            error: components["schemas"]["Error"] | null;
            /** @default null */
            result: string | null;
            /** @default null */
            feedback: string | null;
            /** @default null */
            timeoutSeconds: number | null;
            /** @default {} */
            env: {
                [key: string]: string;
            };
            /** @default [] */
            secrets: string[];
            /** @default null */
            cwd: string | null;
            /** @default false */
            tty: boolean;
            /** @default 0 */
            maskedCount: number;
            /** @default null */
            usage: components["schemas"]["Usage"] | null;
            createdBy: components["schemas"]["Actor"];
            /** @default false */
            archived: boolean;
            /** @default null */
            outputRemovedAt: string | null;
            /** @default 1 */
            version: number;
            id: string;
            /** @default 0 */
            outputBytes: number;
            /** @default 0 */
            outputLines: number;
        };
        /**
         * Unsubscribe
         * @description End a subscription.
         */
        Unsubscribe: {
            /** @enum {unknown} */
            op: "unsubscribe";
            id: string;
        };
        /**
         * Usage
         * @description Tokens that an agent reported for one prompt.
         */
        Usage: {
            /** @default 0 */
            promptTokens: number;
            /** @default 0 */
            completionTokens: number;
            /** @default 0 */
            totalTokens: number;
        };
        /**
         * WaitingApprovals
         * @description What waits for a decision, youngest first.
         */
        WaitingApprovals: {
            count: number;
            oldestAt: string | null;
            ages: components["schemas"]["AgeCount"][];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type Actor = components['schemas']['Actor'];
export type AgeCount = components['schemas']['AgeCount'];
export type Agent = components['schemas']['Agent'];
export type AgentAuth = components['schemas']['AgentAuth'];
export type AppliedView = components['schemas']['AppliedView'];
export type Approval = components['schemas']['Approval'];
export type ApprovalCreated = components['schemas']['ApprovalCreated'];
export type ApprovalResolved = components['schemas']['ApprovalResolved'];
export type Auth = components['schemas']['Auth'];
export type AuthFailed = components['schemas']['AuthFailed'];
export type AuthSignedIn = components['schemas']['AuthSignedIn'];
export type AuthSignedOut = components['schemas']['AuthSignedOut'];
export type BatchCreated = components['schemas']['BatchCreated'];
export type BatchDetail = components['schemas']['BatchDetail'];
export type BatchTask = components['schemas']['BatchTask'];
export type BatchView = components['schemas']['BatchView'];
export type CheckStep = components['schemas']['CheckStep'];
export type CheckView = components['schemas']['CheckView'];
export type ConfigAuth = components['schemas']['ConfigAuth'];
export type DesktopAgentReady = components['schemas']['DesktopAgentReady'];
export type DesktopCounts = components['schemas']['DesktopCounts'];
export type DesktopCreated = components['schemas']['DesktopCreated'];
export type DesktopEdit = components['schemas']['DesktopEdit'];
export type DesktopError = components['schemas']['DesktopError'];
export type DesktopLink = components['schemas']['DesktopLink'];
export type DesktopRemoved = components['schemas']['DesktopRemoved'];
export type DesktopStarted = components['schemas']['DesktopStarted'];
export type DesktopStopped = components['schemas']['DesktopStopped'];
export type DesktopUpdated = components['schemas']['DesktopUpdated'];
export type DesktopView = components['schemas']['DesktopView'];
export type Durations = components['schemas']['Durations'];
export type Envelope = components['schemas']['Envelope'];
export type Error = components['schemas']['Error'];
export type EventPayloads = components['schemas']['EventPayloads'];
export type Failing = components['schemas']['Failing'];
export type Found = components['schemas']['Found'];
export type Head = components['schemas']['Head'];
export type Health = components['schemas']['Health'];
export type HostKey = components['schemas']['HostKey'];
export type Hour = components['schemas']['Hour'];
export type KeyAuth = components['schemas']['KeyAuth'];
export type KeyChangeView = components['schemas']['KeyChangeView'];
export type KeyCreated = components['schemas']['KeyCreated'];
export type KeyRevoked = components['schemas']['KeyRevoked'];
export type KeyView = components['schemas']['KeyView'];
export type KnownHost = components['schemas']['KnownHost'];
export type KnownHostAdded = components['schemas']['KnownHostAdded'];
export type KnownHostRemoved = components['schemas']['KnownHostRemoved'];
export type LeftRunning = components['schemas']['LeftRunning'];
export type Me = components['schemas']['Me'];
export type Metrics = components['schemas']['Metrics'];
export type NewAgent = components['schemas']['NewAgent'];
export type NewBatch = components['schemas']['NewBatch'];
export type NewDesktop = components['schemas']['NewDesktop'];
export type NewKey = components['schemas']['NewKey'];
export type NewKnownHost = components['schemas']['NewKnownHost'];
export type NewOutpost = components['schemas']['NewOutpost'];
export type NewSecret = components['schemas']['NewSecret'];
export type NewSsh = components['schemas']['NewSsh'];
export type NewTask = components['schemas']['NewTask'];
export type OutpostFacts = components['schemas']['OutpostFacts'];
export type OutpostOptions = components['schemas']['OutpostOptions'];
export type Overview = components['schemas']['Overview'];
export type PasswordAuth = components['schemas']['PasswordAuth'];
export type PlanItem = components['schemas']['PlanItem'];
export type Problem = components['schemas']['Problem'];
export type ProblemField = components['schemas']['ProblemField'];
export type Review = components['schemas']['Review'];
export type SealKeyChanged = components['schemas']['SealKeyChanged'];
export type Secret = components['schemas']['Secret'];
export type SecretCreated = components['schemas']['SecretCreated'];
export type SecretEdit = components['schemas']['SecretEdit'];
export type SecretRemoved = components['schemas']['SecretRemoved'];
export type SecretUpdated = components['schemas']['SecretUpdated'];
export type SessionView = components['schemas']['SessionView'];
export type Settings = components['schemas']['Settings'];
export type SettingsEdit = components['schemas']['SettingsEdit'];
export type SettingsUpdated = components['schemas']['SettingsUpdated'];
export type Show = components['schemas']['Show'];
export type SignIn = components['schemas']['SignIn'];
export type SignInLink = components['schemas']['SignInLink'];
export type Skipped = components['schemas']['Skipped'];
export type Ssh = components['schemas']['Ssh'];
export type SshEdit = components['schemas']['SshEdit'];
export type StatusCounts = components['schemas']['StatusCounts'];
export type StreamSums = components['schemas']['StreamSums'];
export type Subscribe = components['schemas']['Subscribe'];
export type TaskArchived = components['schemas']['TaskArchived'];
export type TaskCancelRequested = components['schemas']['TaskCancelRequested'];
export type TaskCancelled = components['schemas']['TaskCancelled'];
export type TaskCompleted = components['schemas']['TaskCompleted'];
export type TaskCreated = components['schemas']['TaskCreated'];
export type TaskEdit = components['schemas']['TaskEdit'];
export type TaskFailed = components['schemas']['TaskFailed'];
export type TaskNote = components['schemas']['TaskNote'];
export type TaskOutput = components['schemas']['TaskOutput'];
export type TaskOutputGap = components['schemas']['TaskOutputGap'];
export type TaskOutputRemoved = components['schemas']['TaskOutputRemoved'];
export type TaskPhase = components['schemas']['TaskPhase'];
export type TaskProgress = components['schemas']['TaskProgress'];
export type TaskResponse = components['schemas']['TaskResponse'];
export type TaskReview = components['schemas']['TaskReview'];
export type TaskStarted = components['schemas']['TaskStarted'];
export type TaskUpdated = components['schemas']['TaskUpdated'];
export type TaskView = components['schemas']['TaskView'];
export type Unsubscribe = components['schemas']['Unsubscribe'];
export type Usage = components['schemas']['Usage'];
export type WaitingApprovals = components['schemas']['WaitingApprovals'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
