// The scripts of every page. NiceGUI builds a page once; what moves afterwards is drawn here from the feed.
import "./shell.js";
import "./stats.js";
import "./rows.js";
import "./replay.js";
import "./charts.js";
import "./widgets.js";
import "./forms.js";
import { start } from "./live.js";

start();
