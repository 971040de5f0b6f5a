// An OPC UA client made of node-opcua: does the steps given as JSON on standard input, one after the other, and prints
// one line of JSON per step. A step is {"do": name, ...}; its result is {"do": name, "result": ...} or {..., "error": ...}.
"use strict";
const fs = require("fs");
console.log = () => {}; // the library's own notices would mix with the answers
console.warn = () => {};
const ua = require("node-opcua-client");

const { AttributeIds, BrowseDirection, MessageSecurityMode, SecurityPolicy, TimestampsToReturn } = ua;
const BATCH = 500;
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");

function plain(variant) {
    // JSON of a Variant: 64-bit integers as decimal strings, times as ISO strings
    if (!variant || variant.dataType === ua.DataType.Null) return null;
    const one = (value) => {
        switch (variant.dataType) {
            case ua.DataType.Int64:
                return ((BigInt(value[0]) << 32n) | BigInt(value[1] >>> 0)).toString();
            case ua.DataType.UInt64:
                return ((BigInt(value[0] >>> 0) << 32n) | BigInt(value[1] >>> 0)).toString();
            case ua.DataType.Double:
            case ua.DataType.Float:
                return Number.isFinite(value) ? value : String(value);
            case ua.DataType.LocalizedText:
                return value.text;
            case ua.DataType.NodeId:
                return value.toString();
            case ua.DataType.ByteString:
                return value ? value.toString("base64") : null;
            case ua.DataType.StatusCode:
                return value.name;
            case ua.DataType.ExtensionObject:
                return value && value.toJSON ? value.toJSON() : value;
            default:
                return value;
        }
    };
    return variant.arrayType === ua.VariantArrayType.Array ? Array.from(variant.value || [], one) : one(variant.value);
}

const sample = (dataValue) => ({
    value: plain(dataValue.value),
    type: dataValue.value ? ua.DataType[dataValue.value.dataType] : null,
    status: dataValue.statusCode.value,
    statusName: dataValue.statusCode.name,
    source: dataValue.sourceTimestamp,
    server: dataValue.serverTimestamp,
});

class Client {
    async connect({ url, policy = "None", mode = "None", certificate, key, user, password, userCertificate, userKey, keepAlive = false }) {
        const options = {
            endpointMustExist: false,
            applicationName: "conformance",
            applicationUri: "urn:conformance:client",
            connectionStrategy: { maxRetry: 0, initialDelay: 50 },
            requestedSessionTimeout: 30000,
            keepSessionAlive: keepAlive,
            securityMode: MessageSecurityMode[mode],
            securityPolicy: SecurityPolicy[policy],
            transportTimeout: 8000,
        };
        if (certificate) {
            options.certificateFile = certificate;
            options.privateKeyFile = key;
            const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
            options.clientCertificateManager = new OPCUACertificateManager({
                rootFolder: process.env.CLIENT_PKI,
                automaticallyAcceptUnknownCertificate: true,
            });
            await options.clientCertificateManager.initialize();
        }
        this.client = ua.OPCUAClient.create(options);
        await this.client.connect(url);
        let identity = { type: ua.UserTokenType.Anonymous };
        if (user) identity = { type: ua.UserTokenType.UserName, userName: user, password };
        if (userCertificate) {
            const crypto = require("node-opcua-crypto");
            identity = {
                type: ua.UserTokenType.Certificate,
                certificateData: crypto.readCertificate(userCertificate),
                privateKey: fs.readFileSync(userKey, "latin1"),
            };
        }
        this.session = await this.client.createSession(identity);
        return { endpoint: this.client.endpoint ? this.client.endpoint.securityPolicyUri : null };
    }

    async endpoints({ url }) {
        const client = ua.OPCUAClient.create({ endpointMustExist: false, connectionStrategy: { maxRetry: 0 } });
        await client.connect(url);
        const found = await client.getEndpoints();
        await client.disconnect();
        return found.map((one) => ({
            policy: one.securityPolicyUri,
            mode: MessageSecurityMode[one.securityMode],
            tokens: one.userIdentityTokens.map((token) => ua.UserTokenType[token.tokenType]),
            url: one.endpointUrl,
        }));
    }

    async browse({ nodeId, direction = "Forward" }) {
        const answer = await this.session.browse({
            nodeId,
            browseDirection: BrowseDirection[direction],
            referenceTypeId: "References",
            includeSubtypes: true,
            nodeClassMask: 0,
            resultMask: 63,
        });
        return { status: answer.statusCode.name, references: (answer.references || []).map(Client.reference) };
    }

    static reference(found) {
        return {
            nodeId: found.nodeId.toString(),
            type: found.referenceTypeId.toString(),
            forward: found.isForward,
            name: found.browseName.toString(),
            display: found.displayName.text,
            nodeClass: ua.NodeClass[found.nodeClass],
            typeDefinition: found.typeDefinition.toString(),
        };
    }

    async tree({ nodeId }) {
        // every node below nodeId, by node id, with its references
        const seen = {};
        let next = [nodeId];
        while (next.length) {
            const part = next.splice(0, BATCH);
            const answers = await this.session.browse(
                part.map((one) => ({
                    nodeId: one,
                    browseDirection: BrowseDirection.Both,
                    referenceTypeId: null,
                    includeSubtypes: true,
                    nodeClassMask: 0,
                    resultMask: 63,
                })),
            );
            answers.forEach((answer, at) => {
                seen[part[at]] = (answer.references || []).map(Client.reference);
                for (const one of seen[part[at]]) {
                    if (one.forward && one.nodeId.startsWith("ns=2") && !(one.nodeId in seen) && !next.includes(one.nodeId)) {
                        next.push(one.nodeId);
                    }
                }
            });
        }
        return seen;
    }

    async read({ nodeIds, attribute = "Value", timestamps = "Both" }) {
        const found = {};
        for (let at = 0; at < nodeIds.length; at += BATCH) {
            const part = nodeIds.slice(at, at + BATCH);
            const request = new ua.ReadRequest({
                maxAge: 0,
                timestampsToReturn: TimestampsToReturn[timestamps],
                nodesToRead: part.map((nodeId) => ({ nodeId, attributeId: AttributeIds[attribute] })),
            });
            const answer = await this.session.performMessageTransaction(request);
            answer.results.forEach((one, index) => (found[part[index]] = sample(one)));
        }
        return found;
    }

    async write({ nodeId, type, value, attribute = "Value", status }) {
        const arrayType = Array.isArray(value) ? "Array" : "Scalar";
        const dataValue = { value: { dataType: ua.DataType[type], arrayType: ua.VariantArrayType[arrayType], value } };
        if (status !== undefined) dataValue.statusCode = ua.StatusCodes[status];
        const code = await this.session.write({ nodeId, attributeId: AttributeIds[attribute], value: dataValue });
        return code.name;
    }

    async call({ objectId, methodId, inputs = [] }) {
        const inputArguments = inputs.map(({ type, value }) => ({ dataType: ua.DataType[type], value }));
        const answer = await this.session.call({ objectId, methodId, inputArguments });
        return answer.statusCode.name;
    }

    async service({ request, body }) {
        // any service by name, to see what becomes of it
        const answer = await this.session.performMessageTransaction(new ua[request](body));
        return { code: answer.responseHeader.serviceResult.name, results: (answer.results || []).map((one) => (one.statusCode || one).name) };
    }

    async subscribe({ items, interval = 100, filter, samplingInterval = 0, queueSize = 10, discardOldest = true, keepAlive = 20, lifetime = 100 }) {
        this.subscription = await this.session.createSubscription2({
            requestedPublishingInterval: interval,
            requestedLifetimeCount: lifetime,
            requestedMaxKeepAliveCount: keepAlive,
            maxNotificationsPerPublish: 0,
            publishingEnabled: true,
            priority: 1,
        });
        this.changes = [];
        const parameters = { samplingInterval, queueSize, discardOldest };
        if (filter) {
            parameters.filter = new ua.DataChangeFilter({
                trigger: ua.DataChangeTrigger[filter.trigger || "StatusValue"],
                deadbandType: ua.DeadbandType[filter.deadband || "None"],
                deadbandValue: filter.width || 0,
            });
        }
        const group = await this.subscription.monitorItems(
            items.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value })),
            parameters,
            TimestampsToReturn.Both,
        );
        group.on("changed", (item, dataValue) => this.changes.push({ nodeId: item.itemToMonitor.nodeId.toString(), ...sample(dataValue) }));
        return {
            interval: this.subscription.publishingInterval,
            lifetime: this.subscription.lifetimeCount,
            keepAlive: this.subscription.maxKeepAliveCount,
            statuses: group.monitoredItems.map((item) => (item.statusCode ? item.statusCode.name : "Good")),
            samplings: group.monitoredItems.map((item) => (item.result ? item.result.revisedSamplingInterval : null)),
        };
    }

    async changes_({ count = 1, wait = 2000 }) {
        // what has come since the last question: until `count` are there, or `wait` ms are over
        const until = Date.now() + wait;
        while (this.changes.length < count && Date.now() < until) await new Promise((go) => setTimeout(go, 5));
        return this.changes.splice(0);
    }

    async history({ nodeIds, start, end, count = 0, bounds = false, timestamps = "Both", points = [], release = false }) {
        // one HistoryRead of raw values; `points`: continuation points of the answer before, base64
        const historyReadDetails = new ua.ReadRawModifiedDetails({
            isReadModified: false,
            startTime: start ? new Date(start) : null,
            endTime: end ? new Date(end) : null,
            numValuesPerNode: count,
            returnBounds: bounds,
        });
        const request = new ua.HistoryReadRequest({
            historyReadDetails,
            nodesToRead: nodeIds.map((nodeId, at) => ({ nodeId, continuationPoint: points[at] ? Buffer.from(points[at], "base64") : undefined })),
            releaseContinuationPoints: release,
            timestampsToReturn: TimestampsToReturn[timestamps],
        });
        const answer = await this.session.performMessageTransaction(request);
        return answer.results.map((one) => ({
            status: one.statusCode.name,
            point: one.continuationPoint && one.continuationPoint.length ? one.continuationPoint.toString("base64") : null,
            values: one.historyData && one.historyData.dataValues ? one.historyData.dataValues.map(sample) : [],
        }));
    }

    async watchEvents({ nodeId, fields, ofType, queueSize = 100, interval = 100 }) {
        this.subscription = await this.session.createSubscription2({
            requestedPublishingInterval: interval,
            requestedLifetimeCount: 100,
            requestedMaxKeepAliveCount: 20,
            maxNotificationsPerPublish: 0,
            publishingEnabled: true,
            priority: 1,
        });
        this.events = [];
        const where = ofType ? ua.ofType(ofType) : undefined;
        const filter = ua.constructEventFilter(fields, where);
        this.monitored = await this.subscription.monitor(
            { nodeId, attributeId: AttributeIds.EventNotifier },
            { samplingInterval: 0, queueSize, discardOldest: true, filter },
            TimestampsToReturn.Neither,
        );
        this.monitored.on("changed", (values) => this.events.push(Object.fromEntries(values.map((one, at) => [fields[at], plain(one)]))));
        return { status: this.monitored.statusCode.name, queueSize: this.monitored.result.revisedQueueSize };
    }

    async events_({ count = 1, wait = 2000 }) {
        const until = Date.now() + wait;
        while (this.events.length < count && Date.now() < until) await new Promise((go) => setTimeout(go, 5));
        return this.events.splice(0);
    }

    async refresh({ item = false, subscriptionId }) {
        const inputArguments = [{ dataType: ua.DataType.UInt32, value: subscriptionId || this.subscription.subscriptionId }];
        if (item) inputArguments.push({ dataType: ua.DataType.UInt32, value: this.monitored.monitoredItemId });
        const answer = await this.session.call({ objectId: "i=2782", methodId: item ? "i=12912" : "i=3875", inputArguments });
        return answer.statusCode.name;
    }

    async note({ conditionId, eventId, comment, confirm = false }) {
        const inputArguments = [
            { dataType: ua.DataType.ByteString, value: Buffer.from(eventId, "base64") },
            { dataType: ua.DataType.LocalizedText, value: { text: comment } },
        ];
        const answer = await this.session.call({ objectId: conditionId, methodId: confirm ? "i=9113" : "i=9111", inputArguments });
        return answer.statusCode.name;
    }

    async sleep({ ms }) {
        await new Promise((go) => setTimeout(go, ms));
        return null;
    }

    async disconnect() {
        if (this.session) await this.session.close(true);
        await this.client.disconnect();
        this.session = null;
        return null;
    }
}

async function main() {
    const client = new Client();
    const lines = require("readline").createInterface({ input: process.stdin });
    for await (const line of lines) {
        const step = JSON.parse(line);
        const name = step.do === "changes" || step.do === "events" ? step.do + "_" : step.do;
        try {
            say({ do: step.do, result: await client[name](step) });
        } catch (error) {
            say({ do: step.do, error: String(error.message || error).split("\n")[0] });
        }
    }
    process.stdout.write("", () => process.exit(0));
}

main();
