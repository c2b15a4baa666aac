"""Flask with Flask-Session: what a visitor leaves behind lies in the server."""

import importlib.metadata

import flask
import redis
from harness import PORT, check, done, equal, restart_server
from flask import session
from flask_session import Session


def application():
    app = flask.Flask("shop")
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=PORT), PERMANENT_SESSION_LIFETIME=600)
    Session(app)

    @app.route("/put/<item>")
    def put(item):
        session["basket"] = session.get("basket", []) + [item]
        return str(len(session["basket"]))

    @app.route("/basket")
    def basket():
        return ",".join(session.get("basket", []))

    @app.route("/leave")
    def leave():
        session.clear()
        return ""
    return app


shop = application()
ada, grace = shop.test_client(), shop.test_client()


@check("two visitors have a basket each")
def _():
    for n in range(50):
        ada.get(f"/put/a{n}")
    grace.get("/put/g")
    equal([ada.get("/basket").text, grace.get("/basket").text], [",".join(f"a{n}" for n in range(50)), "g"])


@check("sessions expire by themselves")
def _():
    r = redis.Redis(port=PORT)
    keys = r.keys("session:*")
    equal([len(keys), all(0 < r.ttl(k) <= 600 for k in keys)], [2, True])


@check("sessions outlive a restart of the server")
def _():
    restart_server("term")
    try:
        grace.get("/basket")
    except redis.ConnectionError:
        pass
    equal(grace.get("/basket").text, "g")


done(importlib.metadata.version("Flask-Session"))
